import { describe, expect, it } from 'vitest';
import { expectedFailures, verdictOn } from './verdict.ts';

const held = { id: 'a', status: 'SUCCESS' };
const failure = { id: 'b', status: 'FAILURE', errorMessage: 'no' };
const skipped = { id: 'c', status: 'SKIPPED' };
const warning = { id: 'd', status: 'WARNING', errorMessage: 'hm' };

describe('the verdict on a set of scenarios', () => {
  it('counts scenarios and checks, and shows warnings without failing for them', () => {
    const verdict = verdictOn('set', [{ scenario: 'x', said: '', checks: [held, warning] }], []);
    expect(verdict.faults).toEqual([]);
    expect(verdict.warnings).toEqual(['x: d: hm']);
    expect(verdict.summary).toBe('set · 1 of 1 scenarios pass · checks: 1 hold, 0 fail, 1 warn, 0 skipped');
  });

  it('fails for a check that fails', () => {
    expect(verdictOn('set', [{ scenario: 'x', said: '', checks: [held, failure] }], []).faults).toEqual([
      'x: b: no',
    ]);
  });

  it('fails for a check that was skipped, because what is not declared is not conformant', () => {
    const { faults } = verdictOn('set', [{ scenario: 'x', said: '', checks: [held, skipped] }], []);
    expect(faults).toEqual(['x: was not tried: c']);
  });

  it('takes no offence at a skipped check of the handshake, where there is none', () => {
    const description = 'Client sends correct Mcp-Method header on initialize request';
    const moot = { id: 'c', status: 'SKIPPED', description };
    expect(verdictOn('set', [{ scenario: 'x', said: '', checks: [held, moot] }], []).faults).toEqual([]);
  });

  it('fails for a set of which nothing was run', () => {
    expect(verdictOn('set', [], []).faults).toEqual(['nothing was run']);
  });

  it('fails for an expected failure that passes', () => {
    const listed = ['x', 'y'];
    const results = [
      { scenario: 'x', said: '', checks: [failure] },
      { scenario: 'y', said: '', checks: [held] },
    ];
    expect(verdictOn('set', results, listed).faults).toEqual([
      'y: passes, but is listed as an expected failure',
    ]);
  });

  it('reads the scenarios of a list', () => {
    expect(expectedFailures('# none - at all\nserver:\n  - one\n  - two-three\n')).toEqual([
      'one',
      'two-three',
    ]);
    expect(expectedFailures('server: []\n')).toEqual([]);
  });
});
