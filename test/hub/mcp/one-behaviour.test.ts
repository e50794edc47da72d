import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { capture } from '../../support/fixture-skills.ts';
import { verifies } from '../../support/verifies.ts';
import { type EndpointRig, endpointRig, exchange, INITIALIZE, modernRequest, type Surfaces } from './rig.ts';

let surfaces: Surfaces;

beforeAll(async () => {
  const [modern, legacy] = await Promise.all([capture('modern'), capture('legacy')]);
  surfaces = { modern, legacy };
});

const RUNS = 200;

/** Mostly right, sometimes wrong in one way. */
function mostly<T>(right: fc.Arbitrary<T>, ...wrong: fc.Arbitrary<unknown>[]): fc.Arbitrary<unknown> {
  return fc.oneof({ weight: 12, arbitrary: right }, ...wrong.map((arbitrary) => ({ weight: 1, arbitrary })));
}

const absent = fc.constant(undefined);
const TOOLS = [
  'modern__echo',
  'legacy__echo',
  'modern__fail',
  'legacy__fail',
  'modern__list',
  'legacy__count',
];
const name = mostly(fc.constantFrom(...TOOLS), fc.constantFrom('nope', '', 7, 'x'.repeat(300)), absent);
const args = mostly(
  fc.record({ message: fc.string({ unit: 'grapheme' }), to: fc.nat(3) }),
  fc.jsonValue(),
  absent,
);
const method = mostly(
  fc.constantFrom('tools/call', 'tools/call', 'tools/call', 'tools/list', 'prompts/list', 'resources/list'),
  fc.constantFrom('resources/templates/list', 'ping', 'tools/nope', '', 'prompts/get', 'logging/setLevel'),
);
const id = mostly(fc.oneof(fc.nat(), fc.string()), fc.constantFrom(null, 1.5, true), absent);
const APPS = 'io.modelcontextprotocol/ui';
const capabilities = mostly(
  fc.constantFrom(
    {},
    { elicitation: {} },
    { sampling: { tools: {} }, roots: { listChanged: true } },
    { extensions: { [APPS]: { mimeTypes: ['text/html;profile=mcp-app'] } } },
    { extensions: { [APPS]: { mimeTypes: 7 } }, elicitation: {} },
  ),
  fc.constantFrom({ extensions: { [APPS]: 7 } }, { extensions: { [APPS]: {}, 'org.example/x': {} } }),
  fc.jsonValue(),
  absent,
);
const info = mostly(
  fc.constant({ name: 'fuzz', version: '1' }),
  fc.constantFrom({ name: 'fuzz' }, 'text', { name: 'fuzz', version: '1', title: 'Fuzz' }),
  absent,
);
const RESERVED = 'io.modelcontextprotocol/';
const more = mostly(
  fc.constant({}),
  fc.constantFrom(
    { progressToken: 'p' },
    { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' },
    { [`${RESERVED}logLevel`]: 'debug' },
    { [`${RESERVED}unknown`]: 1 },
  ),
);
/** Small pages, so that lists have several; one key, so that both endpoints take the same cursors. */
const PAGED = { limits: { pageEntries: 2 }, cursorKey: Buffer.alloc(32, 7) };
const extra = mostly(
  fc.constant({}),
  fc.constantFrom(
    { cursor: 'x' },
    { cursor: 7 },
    { cursor: '' },
    { requestState: 'x' },
    { inputResponses: {} },
    { task: {} },
  ),
);

/** Every cursor of the lists as they are, true to its list or not, and altered ones. */
const cursorIn = (cursors: readonly string[]) =>
  fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom(...cursors) },
    {
      weight: 1,
      arbitrary: fc
        .tuple(fc.constantFrom(...cursors), fc.nat(47))
        .map(([cursor, at]) => `${cursor.slice(0, at)}_${cursor.slice(at + 1)}`),
    },
  );

interface Sent {
  headers: Record<string, string>;
  body: { method: unknown; params: Record<string, unknown> } & Record<string, unknown>;
}

const header = (right: unknown, change: string): Record<string, unknown> =>
  change === 'drop' ? {} : { value: change === 'other' ? 'other' : right };
const change = fc.oneof(
  { weight: 15, arbitrary: fc.constant('keep') },
  { weight: 1, arbitrary: fc.constantFrom('drop', 'other') },
);

function headersOf(wanted: Record<string, Record<string, unknown>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(wanted).flatMap(([key, { value }]) =>
      typeof value === 'string' && /^[\x20-\x7e]+$/.test(value) ? [[key, value] as const] : [],
    ),
  );
}

const common = {
  id,
  method,
  name,
  args,
  more,
  extra,
  version: change,
  jsonrpc: mostly(fc.constant('2.0'), fc.constant('1.0'), absent),
};

const modernSent: fc.Arbitrary<Sent> = fc
  .record({ ...common, capabilities, info, methodHeader: change, nameHeader: change, bodyVersion: change })
  .map((given) => {
    const isCall = given.method === 'tools/call' || given.method === 'prompts/get';
    const meta = {
      ...(header('2026-07-28', given.bodyVersion)['value'] === undefined
        ? {}
        : { [`${RESERVED}protocolVersion`]: header('2026-07-28', given.bodyVersion)['value'] }),
      ...(given.capabilities === undefined ? {} : { [`${RESERVED}clientCapabilities`]: given.capabilities }),
      ...(given.info === undefined ? {} : { [`${RESERVED}clientInfo`]: given.info }),
      ...(given.more as object),
    };
    return {
      headers: headersOf({
        'mcp-protocol-version': header('2026-07-28', given.version),
        'mcp-method': header(given.method, given.methodHeader),
        'mcp-name': isCall ? header(given.name, given.nameHeader) : {},
      }),
      body: {
        jsonrpc: given.jsonrpc,
        id: given.id,
        method: given.method,
        params: {
          ...(isCall ? { name: given.name, arguments: given.args } : {}),
          ...(given.extra as object),
          _meta: meta,
        },
      },
    };
  });

const legacySent: fc.Arbitrary<Sent> = fc.record(common).map((given) => ({
  headers: headersOf({ 'mcp-protocol-version': header('2025-11-25', given.version) }),
  body: {
    jsonrpc: given.jsonrpc,
    id: given.id,
    method: given.method,
    params: {
      ...(given.method === 'tools/call' ? { name: given.name, arguments: given.args } : {}),
      ...(given.extra as object),
      ...(Object.keys(given.more as object).length === 0 ? {} : { _meta: given.more }),
    },
  },
}));

/** Half of the requests ask for a further page, of their own list or of another. */
function sent(era: 'modern' | 'legacy', cursors: readonly string[]): fc.Arbitrary<Sent> {
  const plain = era === 'modern' ? modernSent : legacySent;
  return fc.tuple(plain, fc.option(cursorIn(cursors))).map(([{ headers, body }, cursor]) => {
    const { method: of, params } = body;
    if (cursor === null || !String(of).endsWith('/list')) return { headers, body };
    return { headers, body: { ...body, params: { ...params, cursor } } };
  });
}

/** What is another at each hub: an id of the request, and the hub's own number of it at the skill, which echoes it. */
const COUNTED = new Set(['requestId', 'progressToken']);

/** The last message of an answer: notifications before it come or not, as a stream allows. */
function said(text: string): unknown {
  const messages = text.startsWith('event:')
    ? [...text.matchAll(/^data: (.*)$/gm)].map(([, data]) => data)
    : [text];
  const last = messages.filter((data) => data !== '').at(-1);
  return last === undefined
    ? undefined
    : JSON.parse(last, (key, value: unknown) => (COUNTED.has(key) ? '…' : value));
}

/** The cursors that a client of this era is given, list by list. */
async function cursorsOf(rig: EndpointRig, era: 'modern' | 'legacy'): Promise<string[]> {
  const session = era === 'legacy' ? await openSession(rig) : {};
  const found: string[] = [];
  for (const list of ['tools/list', 'prompts/list', 'resources/list', 'resources/templates/list']) {
    let cursor: string | undefined;
    do {
      const request = modernRequest(list, cursor === undefined ? {} : { cursor });
      const { _meta: _modern, ...params } = request.body.params as Record<string, unknown>;
      const { json } = await exchange(
        rig,
        era === 'modern' ? request : { headers: session, body: { ...request.body, params } },
      );
      cursor = (json()['result'] as { nextCursor?: string }).nextCursor;
      if (cursor !== undefined) found.push(cursor);
    } while (cursor !== undefined);
  }
  return found;
}

async function openSession(rig: EndpointRig): Promise<Record<string, string>> {
  const { headers } = await exchange(rig, { body: INITIALIZE });
  return { 'mcp-session-id': String(headers['mcp-session-id']) };
}

describe('the fast lane', () => {
  it.each(['modern', 'legacy'] as const)(
    'answers %s requests as the SDK does',
    verifies('mcp.one-behaviour'),
    async (era) => {
      const fast = await endpointRig(surfaces, { ...PAGED, fastLane: true });
      const slow = await endpointRig(surfaces, { ...PAGED, fastLane: false });
      const cursors = await cursorsOf(fast, era);
      expect(cursors).toEqual(await cursorsOf(slow, era));
      expect(cursors.length).toBeGreaterThan(4);
      const inFast = era === 'legacy' ? await openSession(fast) : {};
      const inSlow = era === 'legacy' ? await openSession(slow) : {};
      let taken = 0;
      await fc.assert(
        fc.asyncProperty(sent(era, cursors), async ({ headers, body }) => {
          const [one, other] = await Promise.all([
            exchange(fast, { headers: { ...headers, ...inFast }, body }),
            exchange(slow, { headers: { ...headers, ...inSlow }, body }),
          ]);
          if (
            one.headers['content-length'] !== undefined &&
            one.headers['content-type'] === 'application/json'
          )
            taken += 1;
          expect([one.status, said(one.text)]).toEqual([other.status, said(other.text)]);
        }),
        { numRuns: RUNS },
      );
      // A lane that leaves everything alone would agree, too.
      expect(taken).toBeGreaterThan(RUNS / 10);
    },
  );
});
