import { describe, expect, it } from 'vitest';
import { openWhileCalled } from '../../../hub/runner/open-network.ts';
import { verifies } from '../../support/verifies.ts';

describe('the network of a child', () => {
  it(
    'is open while a call waits for the process, and while one is in flight later',
    verifies('sandbox.network-while-called'),
    () => {
      let inside = 0;
      const enter = () => {
        inside += 1;
        return () => void (inside -= 1);
      };
      const network = openWhileCalled();
      network.called();
      network.called();
      network.answered();
      expect(inside).toBe(0);
      network.made(enter);
      expect(inside).toBe(1);
      network.called();
      network.answered();
      expect(inside).toBe(1);
      network.answered();
      expect(inside).toBe(0);
      network.called();
      expect(inside).toBe(1);
      network.answered();
      expect(inside).toBe(0);
    },
  );
});
