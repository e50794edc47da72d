import { describe, expect, it } from 'vitest';
import { gapIn, needsOf, refuseUnenforceable } from '../../../hub/sandbox/needs.ts';
import { CAPABILITIES, type Capability } from '../../../hub/sandbox/sandbox.ts';
import { verifies } from '../../support/verifies.ts';

const host = { host: 'api.example.com', port: 443, protocol: 'tls' as const };
const without = (...lacking: Capability[]) => CAPABILITIES.filter((one) => !lacking.includes(one));

describe('what a skill needs of a sandbox', () => {
  it(
    'is to be kept from files, network and programs, whatever it was granted',
    verifies('sandbox.needs'),
    () => {
      expect(gapIn(needsOf({ network: [] }, []), CAPABILITIES)).toBeUndefined();
      for (const capability of ['files', 'network', 'subprocess'] as const)
        expect(gapIn(needsOf({ network: [] }, []), without(capability))?.capability).toBe(capability);
    },
  );

  it('is a filter of hosts where it was granted one, and not otherwise', verifies('sandbox.needs'), () => {
    expect(gapIn(needsOf({ network: [] }, []), without('hostFilter'))).toBeUndefined();
    const gap = gapIn(needsOf({ network: [host] }, []), without('hostFilter'));
    expect(gap?.capability).toBe('hostFilter');
    expect(gap?.clause).toContain('api.example.com:443');
  });

  it.each(CAPABILITIES)('is %s where the admin demands it', verifies('sandbox.needs'), (capability) => {
    expect(gapIn(needsOf({ network: [] }, [capability]), CAPABILITIES)).toBeUndefined();
    expect(gapIn(needsOf({ network: [] }, [capability]), without(capability))?.capability).toBe(capability);
  });

  it('is refused with the capability, and a remedy that fits', verifies('sandbox.needs'), () => {
    const plan = { label: 'org.example/plain@1.0.0', network: [], env: {} };
    const refusal = (requires: readonly Capability[], lacking: Capability) => {
      try {
        refuseUnenforceable(plan, { enforces: without(lacking), requires });
        return undefined;
      } catch (error) {
        return error as { code: string; hint: string; data: unknown };
      }
    };
    expect(refusal([], 'memory')).toBeUndefined();
    expect(refusal(['memory'], 'memory')).toMatchObject({
      code: 'sandbox-cannot-enforce',
      data: { capability: 'memory' },
      hint: expect.stringContaining('requires'),
    });
    expect(refusal([], 'files')).toMatchObject({ hint: expect.stringContaining('sandbox') });
  });
});
