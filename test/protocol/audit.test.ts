import { generateKeyPairSync } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  auditEventSchema,
  auditRecordSchema,
  describeRecord,
  FIRST_PREVIOUS,
  link,
  signHead,
  verifyChain,
  type AuditEvent,
  type AuditRecord,
  type RefusalReason,
} from '../../protocol/audit.ts';
import { canonicalJson, digestOf } from '../../protocol/canonical.ts';
import { publicKeyRecordOf } from '../../protocol/provenance.ts';
import { verifies } from '../support/verifies.ts';

const SKILL = { skill: 'dev.berth/files', version: '1.0.0' };
const DECIDED_ON = { approval: 'install_1', ...SKILL, digest: digestOf('archive'), signer: 'key:abc' };
const DECIDED: Extract<AuditEvent, { event: 'call.decided' }> = {
  event: 'call.decided',
  call: 'call_1',
  principal: { user: 'owner', client: 'Claude Code' },
  ...SKILL,
  what: 'tool',
  name: 'delete',
  argumentsDigest: digestOf('{}'),
  arguments: '{"path":"a.txt"}',
  answer: 'allow',
  reasons: [{ rule: 'tool-answer', text: 'you chose so at install' }],
  grants: ['grant_1'],
};
const FINISHED: Extract<AuditEvent, { event: 'call.finished' }> = {
  event: 'call.finished',
  call: 'call_1',
  skill: SKILL.skill,
  name: 'delete',
  outcome: 'ok',
  durationMs: 12.4,
};

const CONTACT = { skill: 'dev.berth/web', user: 'owner', host: 'api.test', port: 443 };
const REFUSED_AS: Readonly<Record<RefusalReason, string>> = {
  'host-not-granted': 'was refused: it is not among its hosts',
  'port-not-granted': 'was refused: it has that host, but not on that port',
  'between-calls': 'was refused: no call was running',
  'not-tls': 'was refused: it did not speak TLS there',
  'not-http': 'was refused: it did not speak plain HTTP there that has but one meaning',
  'no-name': 'was refused: it did not name the host inside the connection',
  'other-name': 'was refused: inside the connection it named another host',
  'too-slow': 'was refused: it did not say in time whom it wanted',
  'name-unknown': 'did not: the name leads to no address',
  'address-not-public': 'was refused: that is no address of the open internet',
  'own-address': 'was refused: that is an address of this machine',
  'own-door': 'was refused: the hub or its registry answers there',
  'other-address': 'was refused: that is not the address that was granted',
  unreachable: 'did not: nothing answers there',
  'too-many-names': 'was refused: it has asked for too many names',
  'too-many-connections': 'was refused: it has too many connections, or opens them too fast',
  flood: 'lost its network until it is started again: it flooded the hub',
};

/** One of every event, with the sentence it is to be read as. */
const EVENTS: readonly [AuditEvent, string][] = [
  [
    { event: 'network.reached', ...CONTACT, address: '1.1.1.1' },
    'dev.berth/web reached api.test (port 443, at 1.1.1.1) for owner',
  ],
  ...Object.entries(REFUSED_AS).map(([reason, words]): [AuditEvent, string] => [
    { event: 'network.refused', ...CONTACT, reason: reason as RefusalReason },
    `dev.berth/web tried to reach api.test (port 443) for owner and ${words}`,
  ]),
  [
    {
      event: 'call.asked',
      call: 'call_1',
      skill: SKILL.skill,
      name: 'delete',
      method: 'elicitation/create',
      question: '{"message":"Really?"}',
    },
    'delete on dev.berth/files asked its user: {"message":"Really?"}',
  ],
  [DECIDED, 'Claude Code (owner) called delete on dev.berth/files 1.0.0: allowed – you chose so at install'],
  [
    { ...DECIDED, answer: 'ask', principal: { ...DECIDED.principal, agent: 'reviewer' } },
    'Claude Code (owner, agent reviewer) wanted to call delete on dev.berth/files 1.0.0: not done, it needs an approval – you chose so at install',
  ],
  [
    {
      ...DECIDED,
      answer: 'deny',
      reasons: [{ rule: 'a', text: 'It is off.' }],
      what: 'prompt',
      name: 'greet',
    },
    'Claude Code (owner) wanted the prompt greet on dev.berth/files 1.0.0: denied – It is off',
  ],
  [
    { ...DECIDED, what: 'resource', name: 'file:///a', reasons: [] },
    'Claude Code (owner) read file:///a on dev.berth/files 1.0.0: allowed',
  ],
  [
    { ...DECIDED, what: 'completion', name: 'greet', reasons: [] },
    'Claude Code (owner) asked for completions of greet on dev.berth/files 1.0.0: allowed',
  ],
  [{ ...FINISHED, bytes: 1 }, 'delete on dev.berth/files finished in 12 ms with 1 byte'],
  [
    { ...FINISHED, outcome: 'error', detail: 'no such file' },
    'delete on dev.berth/files failed after 12 ms – no such file',
  ],
  [
    { ...FINISHED, outcome: 'cancelled', durationMs: 1500 },
    'delete on dev.berth/files was cancelled after 1.5 s',
  ],
  [
    { ...FINISHED, outcome: 'timeout' },
    'delete on dev.berth/files took too long and was stopped after 12 ms',
  ],
  [
    { ...FINISHED, outcome: 'crashed' },
    'delete on dev.berth/files ended after 12 ms because the skill stopped',
  ],
  [
    { ...FINISHED, outcome: 'unknown', detail: 'The hub stopped.' },
    'delete on dev.berth/files has an unknown outcome – The hub stopped',
  ],
  [
    { event: 'install.proposed', ...DECIDED_ON },
    'dev.berth/files 1.0.0, signed by key:abc, waits for approval (install_1)',
  ],
  [
    {
      event: 'install.approved',
      ...DECIDED_ON,
      grants: ['It can change files in /home/o/work'],
      tools: [
        { name: 'read', answer: 'allow' },
        { name: 'list', answer: 'allow' },
        { name: 'delete', answer: 'ask' },
      ],
      by: 'owner',
    },
    'owner approved dev.berth/files 1.0.0: It can change files in /home/o/work; allows read, list; asks before delete',
  ],
  [
    { event: 'install.approved', ...DECIDED_ON, grants: [], tools: [], by: 'owner' },
    'owner approved dev.berth/files 1.0.0: no permissions; no tools',
  ],
  [
    { event: 'install.denied', approval: 'install_1', ...SKILL, by: 'owner', reason: 'not needed' },
    'owner refused dev.berth/files 1.0.0 – not needed',
  ],
  [
    {
      event: 'upgrade.waiting',
      approval: 'upgrade_1',
      ...SKILL,
      serving: '0.9.0',
      wants: ['Use the network'],
    },
    'dev.berth/files 1.0.0 wants more than 0.9.0, which goes on serving (upgrade_1): Use the network',
  ],
  [
    { event: 'skill.started', ...SKILL, user: 'owner', pid: 7 },
    'dev.berth/files 1.0.0 started for owner (process 7)',
  ],
  [
    {
      event: 'program.used',
      ...SKILL,
      program: 'git',
      path: '/usr/bin/git',
      digest: `sha256:${'ab'.repeat(32)}`,
      user: 'owner',
    },
    'dev.berth/files 1.0.0 may run git for owner: /usr/bin/git, sha256:abababababab\u2026',
  ],
  [
    { event: 'skill.stopped', ...SKILL, user: 'owner', reason: 'idle' },
    'dev.berth/files 1.0.0 stopped for owner: idle',
  ],
  [
    { event: 'skill.quarantined', ...SKILL, reason: 'it says something else', differences: ['tools.read'] },
    'dev.berth/files 1.0.0 was quarantined: it says something else (tools.read)',
  ],
  [
    { event: 'skill.removed', ...SKILL, data: false, by: 'owner' },
    'owner removed dev.berth/files 1.0.0, but kept what it had stored',
  ],
  [
    { event: 'grant.revoked', grant: 'grant_1', skill: SKILL.skill, sentence: 'Change files', by: 'owner' },
    'owner took a permission back from dev.berth/files: Change files',
  ],
  [
    {
      event: 'tool.answer-changed',
      skill: SKILL.skill,
      tool: 'delete',
      before: 'ask',
      answer: 'deny',
      by: 'owner',
    },
    'owner changed delete of dev.berth/files from ask to deny',
  ],
  [
    { event: 'secret.used', skill: SKILL.skill, secret: 'KEY', user: 'owner' },
    'dev.berth/files was handed the secret KEY for owner',
  ],
  [
    { event: 'user.signed-in', skill: SKILL.skill, user: 'owner', issuer: 'https://id.example' },
    'owner signed in for dev.berth/files, with tokens of https://id.example',
  ],
  [
    { event: 'user.signed-out', skill: SKILL.skill, user: 'owner' },
    'owner signed out from dev.berth/files; the tokens were forgotten',
  ],
  [
    { event: 'client.added', client: 'Cursor', user: 'owner', by: 'owner' },
    'owner added the client Cursor, which acts for owner',
  ],
  [
    {
      event: 'client.added',
      client: 'Cursor',
      user: 'owner',
      shown: { mode: 'profile', profile: 'coding' },
      by: 'owner',
    },
    'owner added the client Cursor, which acts for owner and is shown the profile coding',
  ],
  [
    { event: 'client.shown', client: 'Cursor', shown: { mode: 'search' }, by: 'owner' },
    'owner chose that the client Cursor is shown a search over everything',
  ],
  [
    {
      event: 'profile.set',
      profile: 'coding',
      entries: [{ skill: SKILL.skill, tools: ['read', 'list'] }, { skill: 'dev.berth/review' }],
      by: 'owner',
    },
    'owner made the profile coding of read, list of dev.berth/files; dev.berth/review',
  ],
  [{ event: 'profile.removed', profile: 'coding', by: 'owner' }, 'owner removed the profile coding'],
  [
    { event: 'client.removed', client: 'Cursor', user: 'owner', by: 'owner' },
    'owner removed the client Cursor, which acted for owner',
  ],
  [{ event: 'hub.started', unfinished: [] }, 'The hub started'],
  [
    { event: 'hub.started', unfinished: ['call_1', 'call_2'] },
    'The hub started; 2 calls of the last run never ended, outcome unknown',
  ],
  [{ event: 'hub.stopped' }, 'The hub stopped'],
  [
    { event: 'registry.pinned', registry: 'http://127.0.0.1:4751', keyId: 'abc=' },
    'The hub trusts the registry http://127.0.0.1:4751 from now on, by its key abc=',
  ],
  [
    { event: 'task.created', task: 'task_1', user: 'owner', client: 'agent', tool: 'files__index' },
    'agent (owner) was given a task for its call of files__index',
  ],
  [
    { event: 'task.cancelled', task: 'task_1', user: 'owner', client: 'agent', tool: 'files__index' },
    'agent (owner) cancelled the task of its call of files__index',
  ],
];

const { privateKey } = generateKeyPairSync('ed25519');
const KEY = { record: publicKeyRecordOf(privateKey), privateKey };
const KEYS = [KEY.record];
const STRANGER = (() => {
  const other = generateKeyPairSync('ed25519').privateKey;
  return { record: publicKeyRecordOf(other), privateKey: other };
})();

const timeOf = (seq: number) => new Date(Date.UTC(2026, 10, 23) + seq * 1000).toISOString();

function chainOf(events: readonly AuditEvent[]): AuditRecord[] {
  const records: AuditRecord[] = [];
  for (const event of events) records.push(link(records.at(-1), { ...event, time: timeOf(records.length) }));
  return records;
}

const stored = (records: readonly AuditRecord[]) =>
  records.map((record) => ({ seq: record.seq, record: canonicalJson(record) }));

const CHAIN = chainOf(Array.from({ length: 12 }, (_, index) => EVENTS[index % EVENTS.length]![0]));
const ROWS = stored(CHAIN);
const headAt = (seq: number, key = KEY) => signHead(CHAIN[seq - 1]!, key);

/** The chain with record `seq` altered and everything behind it computed anew, as an attacker would. */
function rewrittenFrom(seq: number): AuditRecord[] {
  const records = CHAIN.slice(0, seq - 1);
  for (const { seq: at, previous: _, hash: __, ...entry } of CHAIN.slice(seq - 1)) {
    records.push(link(records.at(-1), at === seq ? { event: 'hub.stopped', time: entry.time } : entry));
  }
  return records;
}

describe('the chain of audit records', () => {
  it('begins with the digest of nothing and holds together', async () => {
    expect(CHAIN[0]).toMatchObject({ seq: 1, previous: FIRST_PREVIOUS });
    expect(FIRST_PREVIOUS).toBe(digestOf(''));
    expect(CHAIN.map(({ seq }) => seq)).toEqual(CHAIN.map((_, index) => index + 1));
    const head = CHAIN.at(-1)!.hash;
    expect(await verifyChain(ROWS, [], KEYS)).toEqual({ ok: true, records: 12, head });
    expect(await verifyChain(ROWS, [headAt(4), canonicalJson(headAt(12))], KEYS)).toEqual({
      ok: true,
      records: 12,
      head,
    });
    expect(await verifyChain([], [], KEYS)).toEqual({ ok: true, records: 0, head: FIRST_PREVIOUS });
    const paged = async function* () {
      yield* ROWS;
    };
    expect(await verifyChain(paged(), [], KEYS)).toMatchObject({ ok: true, records: 12 });
  });

  it('names the record that was edited, wherever the edit is', verifies('audit.first-bad'), async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat({ max: 11 }),
        fc.nat(),
        fc.integer({ min: 32, max: 126 }),
        async (index, place, code) => {
          const text = ROWS[index]!.record;
          const at = place % text.length;
          const edited = text.slice(0, at) + String.fromCharCode(code) + text.slice(at + 1);
          fc.pre(edited !== text);
          const verdict = await verifyChain(
            ROWS.with(index, { seq: index + 1, record: edited }),
            [headAt(12)],
            KEYS,
          );
          expect(verdict).toMatchObject({ ok: false, record: index + 1 });
        },
      ),
      { numRuns: 300 },
    );
  });

  it('takes other spacing, order and extra members for an edit, too', async () => {
    const record = CHAIN[4]!;
    for (const text of [
      JSON.stringify(record, null, 1),
      JSON.stringify(Object.fromEntries(Object.entries(record).toReversed())),
      canonicalJson({ ...record, note: 'x' }),
      canonicalJson(record).replace('{', '{"seq":5,'),
      `${canonicalJson(record)} `,
      'null',
      '[]',
      '{}',
      'not json',
      '',
      '['.repeat(100_000),
      '{"seq":5}',
    ]) {
      expect(await verifyChain(ROWS.with(4, { seq: 5, record: text }), [], KEYS)).toMatchObject({
        ok: false,
        record: 5,
      });
    }
  });

  it('names an edited record even when its own hash was computed anew', async () => {
    for (const seq of [1, 5, 11]) {
      const forged = rewrittenFrom(seq)[seq - 1]!;
      const rows = ROWS.with(seq - 1, { seq, record: canonicalJson(forged) });
      expect(await verifyChain(rows, [], KEYS)).toMatchObject({ ok: false, record: seq });
    }
  });

  it('names the record that was deleted', verifies('audit.first-bad'), async () => {
    for (let index = 0; index < 11; index += 1) {
      expect(await verifyChain(ROWS.toSpliced(index, 1), [], KEYS)).toMatchObject({
        ok: false,
        record: index + 1,
      });
    }
  });

  it(
    'misses records at the end that a signed head or the running hub speaks of',
    verifies('audit.signed'),
    async () => {
      for (const kept of [11, 5, 0]) {
        const missing = { ok: false, record: kept + 1 };
        expect(await verifyChain(ROWS.slice(0, kept), [headAt(12)], KEYS)).toMatchObject(missing);
        expect(await verifyChain(ROWS.slice(0, kept), [], KEYS, CHAIN[11])).toMatchObject(missing);
      }
      // Nobody spoke of the last four, so that nothing shows: the limit that signing heads often keeps small.
      expect(await verifyChain(ROWS.slice(0, 8), [headAt(8)], KEYS)).toMatchObject({ ok: true });
    },
  );

  it('names the first of records whose order was changed', verifies('audit.first-bad'), async () => {
    await fc.assert(
      fc.asyncProperty(fc.shuffledSubarray([...ROWS.keys()], { minLength: 12 }), async (order) => {
        const first = order.findIndex((index, place) => index !== place);
        fc.pre(first >= 0);
        const texts = order.map((index, place) => ({ seq: place + 1, record: ROWS[index]!.record }));
        expect(await verifyChain(texts, [], KEYS)).toMatchObject({ ok: false, record: first + 1 });
      }),
    );
  });

  it('names a record that was inserted', verifies('audit.first-bad'), async () => {
    const forged = canonicalJson(link(CHAIN[11], { event: 'hub.stopped', time: timeOf(12) }));
    const cases: [rows: { seq: number; record: string }[], record: number][] = [
      [[...ROWS, { seq: 13, record: ROWS[11]!.record }], 13],
      [[{ seq: 0, record: forged }, ...ROWS], 0],
      [[{ seq: -5, record: forged }, ...ROWS], -5],
      [ROWS.toSpliced(5, 0, { seq: 5, record: forged }), 5],
      [
        ROWS.toSpliced(5, 0, { seq: 6, record: forged }).map(({ record }, index) => ({
          seq: index + 1,
          record,
        })),
        6,
      ],
      [[...ROWS, { seq: 20, record: forged }], 13],
    ];
    for (const [rows, record] of cases) {
      expect(await verifyChain(rows, [], KEYS)).toMatchObject({ ok: false, record });
    }
    const appended = [...ROWS, { seq: 13, record: forged }];
    expect(await verifyChain(appended, [], KEYS, CHAIN[11])).toMatchObject({ ok: false, record: 13 });
  });

  it('cannot be rewritten before a signed head', verifies('audit.signed'), async () => {
    for (const seq of [1, 6, 8]) {
      const verdict = await verifyChain(stored(rewrittenFrom(seq)), [headAt(4), headAt(8), headAt(12)], KEYS);
      expect(verdict).toMatchObject({ ok: false, record: seq === 1 ? 4 : 8 });
    }
    const all = stored(rewrittenFrom(10));
    expect(await verifyChain(all, [headAt(8)], KEYS)).toMatchObject({ ok: true });
    expect(await verifyChain(all, [headAt(8)], KEYS, CHAIN[11])).toMatchObject({ ok: false, record: 12 });
  });

  it('is not proven by a head that is forged, foreign or damaged', verifies('audit.signed'), async () => {
    const rewritten = rewrittenFrom(6);
    const head = headAt(8);
    const forged: [head: unknown, record: number][] = [
      [{ ...head, hash: rewritten[7]!.hash }, 8],
      [{ ...head, seq: 7 }, 7],
      [{ ...head, time: 'now' }, 8],
      [signHead(rewritten[7]!, STRANGER), 8],
      [{ ...signHead(rewritten[7]!, STRANGER), keyId: KEY.record.keyId }, 8],
      [{ ...head, seq: 99 }, 99],
      [{ ...head, signature: undefined }, 8],
      [{ ...head, note: 'x' }, 8],
      ['{"seq":8', 12],
      [null, 12],
    ];
    for (const [claim, record] of forged) {
      expect(await verifyChain(ROWS, [headAt(12), claim], KEYS)).toMatchObject({ ok: false, record });
    }
    expect(await verifyChain(ROWS, [head, { ...head, hash: digestOf('x') }], KEYS)).toMatchObject({
      ok: false,
      record: 8,
    });
    expect(await verifyChain(ROWS, [head], [])).toMatchObject({ ok: false, record: 8 });
    expect(() => signHead(CHAIN[0]!, { ...KEY, record: { ...KEY.record, algorithm: 'p256' } })).toThrow(
      TypeError,
    );
  });
});

describe('audit records', () => {
  it('read as sentences', verifies('audit.sentences'), () => {
    for (const [event, sentence] of EVENTS) {
      expect(auditEventSchema.parse(event)).toEqual(event);
      expect(describeRecord(link(undefined, { ...event, time: timeOf(0) }))).toBe(sentence);
    }
  });

  it('have a sentence for every event there is', () => {
    const named = new Set(EVENTS.map(([{ event }]) => event));
    const declared = auditEventSchema.options.map((option) => option.shape.event.value);
    expect([...named].toSorted()).toEqual(declared.toSorted());
  });

  it('stay one line of plain text, whatever a skill put into its names', () => {
    const name = 'read\u001b[2J\r\nowner approved everything\u202e\u2028\u200b';
    const sentence = describeRecord(link(undefined, { ...FINISHED, name, time: timeOf(0) }));
    expect(sentence).toBe('read [2J owner approved everything on dev.berth/files finished in 12 ms');
  });

  it('come back from storage as they were written, or not at all', () => {
    for (const record of CHAIN)
      expect(auditRecordSchema.parse(JSON.parse(canonicalJson(record)))).toEqual(record);
    for (const broken of [
      { ...CHAIN[0], event: 'unheard.of' },
      { ...CHAIN[0], seq: 0 },
      { ...CHAIN[0], hash: 'x' },
      { ...CHAIN[0], note: 'x' },
      { ...CHAIN[0], call: 'x'.repeat(101) },
      null,
    ]) {
      expect(auditRecordSchema.safeParse(broken).success).toBe(false);
    }
  });
});
