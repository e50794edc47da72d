import { describe, expect, it } from 'vitest';
import { openWhileCalled } from '../../../hub/runner/open-network.ts';
import { verifies } from '../../support/verifies.ts';

describe('the network of a child', () => {
  it(
    'is open for each call that waits for the process, and for each that comes later',
    verifies('sandbox.network-while-called'),
    () => {
      let inside = 0;
      const enter = () => {
        inside += 1;
        return () => void (inside -= 1);
      };
      const network = openWhileCalled();
      const leaveFirst = network.called();
      const leaveSecond = network.called();
      leaveSecond();
      expect(inside).toBe(0);
      network.made(enter);
      expect(inside).toBe(1);
      const leaveThird = network.called();
      expect(inside).toBe(2);
      leaveFirst();
      leaveThird();
      expect(inside).toBe(0);
    },
  );
});
