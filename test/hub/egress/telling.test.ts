import { describe, expect, it } from 'vitest';
import { auditEventOf } from '../../../hub/egress/audit.ts';
import type { EgressEvent } from '../../../hub/egress/egress.ts';
import { COUNTING_MS, MOST_TOLD } from '../../../hub/egress/limits.ts';
import { type Happening, telling } from '../../../hub/egress/telling.ts';
import { auditEventSchema, describeRecord, link } from '../../../protocol/audit.ts';
import { manualClock } from '../../support/manual-clock.ts';
import { verifies } from '../../support/verifies.ts';

const WHO = { skill: 'dev.berth/web', user: 'owner' };
const refused = (host: string, more: Partial<Happening> = {}) =>
  ({ kind: 'refused', host, reason: 'host-not-granted', ...more }) as Happening;

function told() {
  const events: EgressEvent[] = [];
  const clock = manualClock();
  return { events, clock, ...telling(WHO, { clock, events: (event) => events.push(event) }) };
}

describe('what is told of a border', () => {
  it('is the first of its kind at once, and the others as a count', verifies('egress.audit'), () => {
    const { events, clock, tell } = told();
    for (let times = 0; times < 500; times += 1) tell(refused('evil.test', { port: 443 }));
    tell(refused('evil.test', { port: 80 }));
    const first = { ...WHO, ...refused('evil.test', { port: 443 }) };
    expect(events).toEqual([first, { ...first, port: 80 }]);
    clock.advance(COUNTING_MS);
    expect(events.slice(2)).toEqual([{ ...first, count: 499 }]);
    clock.advance(10 * COUNTING_MS);
    expect(events).toHaveLength(3);
    expect(clock.waiting()).toBe(0);
    tell(refused('evil.test', { port: 443 }));
    expect(events).toHaveLength(4);
  });

  it('goes on as one count a minute while it goes on', verifies('egress.audit'), () => {
    const { events, clock, tell } = told();
    for (let minute = 0; minute < 5; minute += 1) {
      for (let times = 0; times < 10; times += 1) tell(refused('evil.test'));
      clock.advance(COUNTING_MS);
    }
    expect(events.map(({ count }) => count)).toEqual([undefined, 9, 10, 10, 10, 10]);
  });

  it('is a first contact once, whatever the address', verifies('egress.audit'), () => {
    const { events, clock, tell } = told();
    for (const address of ['1.1.1.1', '1.0.0.1', '1.1.1.1'])
      tell({ kind: 'reached', host: 'a.test', port: 443, address });
    clock.advance(COUNTING_MS);
    tell({ kind: 'reached', host: 'a.test', port: 443, address: '1.1.1.1' });
    expect(events).toEqual([{ ...WHO, kind: 'reached', host: 'a.test', port: 443, address: '1.1.1.1' }]);
  });

  it('has bounded words, however many hosts are named', verifies('egress.audit', 'egress.bounded'), () => {
    const { events, clock, tell } = told();
    for (let at = 0; at < 5000; at += 1) tell(refused(`secret-${at}.evil.test`));
    expect(events).toHaveLength(MOST_TOLD);
    clock.advance(COUNTING_MS);
    expect(events.slice(MOST_TOLD)).toEqual([{ ...WHO, ...refused('*'), count: 5000 - MOST_TOLD }]);
  });

  it('is complete when the session ends', verifies('egress.audit'), () => {
    const { events, clock, tell, close } = told();
    tell(refused('evil.test'));
    tell(refused('evil.test'));
    close();
    expect(events.map(({ count }) => count)).toEqual([undefined, 1]);
    expect(clock.waiting()).toBe(0);
  });

  it('holds nothing that a reader could not see', verifies('egress.audit'), () => {
    const { events, tell } = told();
    tell(refused(`a\u202e\n\u001b[31m\ud800${'x'.repeat(400)}`, { named: 'b\0c' }));
    expect(events[0]).toMatchObject({
      host: expect.stringMatching(/^a\ufffd+\[31m\ufffdx+$/),
      named: 'b\ufffdc',
    });
    expect(events[0]?.host.length).toBe(260);
  });
});

describe('an event of the border in the audit log', () => {
  const sentence = (event: EgressEvent) => {
    const audited = auditEventSchema.parse(auditEventOf(event));
    return describeRecord(link(undefined, { ...audited, time: '2026-01-01T00:00:00.000Z' }));
  };
  it.each<[EgressEvent, string]>([
    [
      { ...WHO, kind: 'refused', host: 'evil.test', port: 443, reason: 'host-not-granted' },
      'dev.berth/web tried to reach evil.test (port 443) for owner and was refused: it is not among its hosts',
    ],
    [
      { ...WHO, kind: 'refused', host: 'evil.test', reason: 'host-not-granted', count: 7 },
      'dev.berth/web tried to reach evil.test for owner 7 more times and was refused: it is not among its hosts',
    ],
    [
      {
        ...WHO,
        kind: 'refused',
        host: 'a.test',
        port: 443,
        address: '10.0.0.1',
        reason: 'address-not-public',
      },
      'dev.berth/web tried to reach a.test (port 443, at 10.0.0.1) for owner and was refused: that is no address of the open internet',
    ],
    [
      { ...WHO, kind: 'refused', host: 'a.test', port: 443, reason: 'other-name', named: 'evil.test' },
      'dev.berth/web tried to reach a.test (port 443) for owner and was refused: inside the connection it named evil.test',
    ],
    [
      { ...WHO, kind: 'refused', host: '*', reason: 'flood' },
      'dev.berth/web tried to reach other hosts for owner and lost its network until it is started again: it flooded the hub',
    ],
    [
      { ...WHO, kind: 'reached', host: 'a.test', port: 443, address: '1.1.1.1' },
      'dev.berth/web reached a.test (port 443, at 1.1.1.1) for owner',
    ],
    [
      { ...WHO, kind: 'reached', host: '10.0.0.1', port: 5432, address: '10.0.0.1', count: 1 },
      'dev.berth/web reached 10.0.0.1 (port 5432) for owner 1 more time',
    ],
  ])('reads as a sentence: %j', verifies('egress.audit'), (event, expected) => {
    expect(sentence(event)).toBe(expected);
  });
});
