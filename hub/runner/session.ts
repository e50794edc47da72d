import { z } from 'zod';
import { APP_TYPE, APPS_EXTENSION } from '../../protocol/apps-extension.ts';
import { AppError } from '../../protocol/errors.ts';
import { type AskableCapabilities, type LogLevel, type Questions, questionsOf } from '../questions.ts';
import { isObject, type Peer, type PeerRequest } from './peer.ts';
import { notMcp } from './pipe.ts';

/** The revision without handshake and sessions; every request says what an older one agreed on at the start. */
export const MODERN = '2026-07-28';

/** The request of MCP 2026-07-28 that is never done: its answers are notifications. */
export const LISTEN = 'subscriptions/listen';

const RESERVED_META = 'io.modelcontextprotocol/';
const CAPABILITIES_META = `${RESERVED_META}clientCapabilities`;
const LOG_LEVEL_META = `${RESERVED_META}logLevel`;

/** How often one call may ask before it is taken for one that never ends. */
const MAX_ROUNDS = 32;
/** The longest time that a timer takes. */
const FOREVER_MS = 2 ** 31 - 1;
/** MCP 2026-07-28: the request needs a capability that the client did not declare. */
const MISSING_CAPABILITY = -32021;

/** MCP 2026-07-28: the request's revision is none that the server speaks; its data names those. */
const UNSUPPORTED_VERSION = -32022;

/** Who the hub says it is; skills may show it, and must not rely on it. */
export interface Identity {
  name: string;
  version: string;
}

/** One MCP session with one skill process, in whichever revision the skill's manifest names. */
export interface Session {
  readonly instructions: string | undefined;
  /** As the skill declared them. */
  readonly capabilities: Readonly<Record<string, unknown>>;
  /**
   * Relays one request and its result as they are; only what belongs to one hop of the protocol is
   * taken off: reserved `_meta` keys, progress tokens, and 2026-07-28's `resultType`. What a skill of that
   * revision asks meanwhile is put to the request's client, and the request goes on with the answers.
   */
  request(request: PeerRequest): Promise<Record<string, unknown>>;
  /** Whether the skill still answers anything at all within so many milliseconds. */
  isAlive(timeoutMs: number): Promise<boolean>;
}

/**
 * MCP Apps pass through the hub whole, so it says to every skill what a host of them would: a surface is captured once
 * for all clients, and those that show no apps leave them out themselves.
 */
const APPS = { [APPS_EXTENSION]: { mimeTypes: [APP_TYPE] } };

function declared(offered: AskableCapabilities): Record<string, unknown> {
  return { ...offered, extensions: APPS };
}

/** What the hub writes into the `_meta` of everything it sends to a skill of this revision. */
export function envelopeOf(
  protocol: string,
  identity: Identity,
  offered: AskableCapabilities,
): Record<string, unknown> {
  if (protocol !== MODERN) return {};
  return {
    [`${RESERVED_META}protocolVersion`]: MODERN,
    [`${RESERVED_META}clientInfo`]: identity,
    [CAPABILITIES_META]: declared(offered),
  };
}

const capabilities = z.record(z.string(), z.unknown()).default({});
const instructions = z.string().max(100_000).optional();
const discovered = z.looseObject({ supportedVersions: z.array(z.string()), capabilities, instructions });
const initialized = z.looseObject({ protocolVersion: z.string(), capabilities, instructions });

/**
 * Opens the session. The skill is never probed: it speaks the one revision of its manifest, or it does
 * not start. It is offered these client capabilities and may ask for nothing else.
 * @throws AppError `skill-start-failed` when the skill speaks another revision, and what `peer` throws.
 */
export async function openSession({
  peer,
  skill,
  protocol,
  offered,
  identity,
  timeoutMs,
}: {
  peer: Peer;
  skill: string;
  protocol: string;
  offered: AskableCapabilities;
  identity: Identity;
  timeoutMs: number;
}): Promise<Session> {
  const opened =
    protocol === MODERN
      ? await discover(peer, skill, timeoutMs)
      : await initialize(peer, skill, { protocol, offered, identity, timeoutMs });
  if (protocol === MODERN) listenForChanges(peer, opened.capabilities);
  const send = protocol === MODERN ? modernExchange(peer, skill) : legacyExchange(peer, opened.capabilities);
  return {
    instructions: opened.instructions,
    capabilities: opened.capabilities,
    request: ({ method, params, signal, onProgress, client, timeoutMs }) =>
      send({ method, params: withoutHopMeta(params), signal, onProgress, client, timeoutMs }),
    async isAlive(limitMs) {
      const method = protocol === MODERN ? 'server/discover' : 'ping';
      try {
        await peer.request({ method, params: {}, timeoutMs: limitMs });
        return true;
      } catch (error) {
        return error instanceof AppError && error.code === 'skill-error';
      }
    },
  };
}

/** MCP 2026-07-28, subscriptions: a server tells of changed lists only whoever listens for them. */
function listenForChanges(peer: Peer, declared: Readonly<Record<string, unknown>>): void {
  const lists = ['tools', 'prompts', 'resources'].filter((list) => {
    const capability = declared[list];
    return isObject(capability) && capability['listChanged'] === true;
  });
  if (lists.length === 0) return;
  const notifications = Object.fromEntries(lists.map((list) => [`${list}ListChanged`, true]));
  // It lasts as long as the session; a server that does not have it is compared at the next start.
  peer.request({ method: LISTEN, params: { notifications }, timeoutMs: FOREVER_MS }).catch(() => undefined);
}

type Exchange = (request: PeerRequest) => Promise<Record<string, unknown>>;

/** MCP 2026-07-28, basic/patterns/mrtr: what is asked comes as a result, and the answers go with the same request again. */
function modernExchange(peer: Peer, skill: string): Exchange {
  const watching = new Map<string, AbortController>();

  /** A subscription is a request without an end; what it says comes as notifications (MCP 2026-07-28, subscriptions). */
  function watch(uri: string): void {
    if (watching.has(uri)) return;
    const stop = new AbortController();
    watching.set(uri, stop);
    peer
      .request({
        method: LISTEN,
        params: { notifications: { resourceSubscriptions: [uri] } },
        signal: stop.signal,
        timeoutMs: FOREVER_MS,
      })
      .catch(() => undefined)
      .finally(() => watching.get(uri) === stop && watching.delete(uri));
  }

  return async ({ client, ...request }) => {
    const uri = String(request.params['uri']);
    if (request.method === 'resources/subscribe') {
      watch(uri);
      return {};
    }
    if (request.method === 'resources/unsubscribe') {
      watching.get(uri)?.abort();
      return {};
    }
    const meta =
      client === undefined
        ? {}
        : {
            [CAPABILITIES_META]: declared(client.capabilities),
            ...(client.logLevel === undefined ? {} : { [LOG_LEVEL_META]: client.logLevel }),
          };
    const order = { ...request, meta, ...(client === undefined ? {} : { client }) };
    let { params } = request;
    for (let rounds = 0; rounds < MAX_ROUNDS; rounds += 1) {
      const result = await peer.request({ ...order, params });
      if (result['resultType'] !== 'input_required') return ofModern(skill, result);
      const { inputRequests, requestState } = result;
      const questions = questionsOf(skill, inputRequests);
      if (client === undefined) throw asksNobody(skill, questions);
      const inputResponses = await client.ask(questions);
      params = { ...request.params, inputResponses, ...(requestState === undefined ? {} : { requestState }) };
    }
    throw notMcp(skill, `asked more than ${MAX_ROUNDS} times in one call`);
  };
}

/** Up to 2025-11-25 a skill asks by requests of its own, and has one log level for all. */
function legacyExchange(peer: Peer, declared: Readonly<Record<string, unknown>>): Exchange {
  let level: LogLevel | undefined;
  return async (request) => {
    const wanted = request.client?.logLevel;
    if (wanted !== undefined && wanted !== level && isObject(declared['logging'])) {
      level = wanted;
      const { timeoutMs } = request;
      // A skill that does not take the level still does its work.
      await peer.request({ method: 'logging/setLevel', params: { level }, timeoutMs }).catch(() => undefined);
    }
    const result = await peer.request(request);
    if (!('resultType' in result)) return result;
    // These revisions have no kinds of results; one that claims to be of a kind must not pass for it later.
    const { resultType: _claimed, ...plain } = result;
    return plain;
  };
}

function asksNobody(skill: string, questions: Questions): AppError {
  // Capabilities are named as the methods begin: elicitation, sampling, roots.
  const needed = Object.values(questions).map(({ method }) => [method.split('/')[0], {}] as const);
  const data = { requiredCapabilities: Object.fromEntries(needed) };
  return new AppError('skill-error', {
    detail: `${skill} asks the user for input, and nobody is there to be asked.`,
    data: { rpc: { code: MISSING_CAPABILITY, message: 'The client offers no input.', data } },
  });
}

async function discover(peer: Peer, skill: string, timeoutMs: number) {
  const ask = () => peer.request({ method: 'server/discover', params: {}, timeoutMs });
  // MCP 2026-07-28, versioning: a refusal that names a revision of the client's is answered with that one.
  const again = async (error: unknown) => {
    if (namesModern(error)) return ask();
    throw error;
  };
  const answer = await opening(skill, MODERN, ask().catch(again));
  const parsed = discovered.safeParse(answer);
  if (!parsed.success) throw notMcp(skill, 'answered server/discover with something else', parsed.error);
  if (!parsed.data.supportedVersions.includes(MODERN)) {
    throw wrongRevision(skill, MODERN, parsed.data.supportedVersions.join(', '));
  }
  return parsed.data;
}

function namesModern(error: unknown): boolean {
  const rpc = error instanceof AppError ? error.data?.['rpc'] : undefined;
  if (!isObject(rpc) || rpc['code'] !== UNSUPPORTED_VERSION || !isObject(rpc['data'])) return false;
  const { supported } = rpc['data'];
  return Array.isArray(supported) && supported.includes(MODERN);
}

async function initialize(
  peer: Peer,
  skill: string,
  {
    protocol,
    offered,
    identity,
    timeoutMs,
  }: { protocol: string; offered: AskableCapabilities; identity: Identity; timeoutMs: number },
) {
  const params = { protocolVersion: protocol, capabilities: declared(offered), clientInfo: identity };
  const answer = await opening(skill, protocol, peer.request({ method: 'initialize', params, timeoutMs }));
  const parsed = initialized.safeParse(answer);
  if (!parsed.success) throw notMcp(skill, 'answered initialize with something else', parsed.error);
  if (parsed.data.protocolVersion !== protocol)
    throw wrongRevision(skill, protocol, parsed.data.protocolVersion);
  peer.notify('notifications/initialized');
  return parsed.data;
}

/** A skill that refuses the opening message speaks another revision; it says so in its own words. */
async function opening<T>(skill: string, protocol: string, answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof AppError && error.code === 'skill-error')
      throw wrongRevision(skill, protocol, error.message);
    throw error;
  }
}

function wrongRevision(skill: string, wanted: string, answered: string): AppError {
  return new AppError('skill-start-failed', {
    detail: `The manifest of ${skill} says that it speaks MCP ${wanted}, but its server says: ${answered.slice(0, 300)}.`,
    hint: 'Its author has to put the revision that the server speaks into runtime.protocol.',
    data: { spoken: answered.slice(0, 300) },
  });
}

/** Reserved keys speak of the hop they were sent on: a client's say nothing true about the hub's own requests. */
function withoutHopMeta(params: Record<string, unknown>): Record<string, unknown> {
  if (!('_meta' in params)) return params;
  const { _meta: meta, ...rest } = params;
  if (!isObject(meta)) return rest;
  const kept = Object.entries(meta).filter(
    ([key]) => key !== 'progressToken' && !key.startsWith(RESERVED_META),
  );
  return kept.length === 0 ? rest : { ...rest, _meta: Object.fromEntries(kept) };
}

function ofModern(
  skill: string,
  { resultType, ...result }: Record<string, unknown>,
): Record<string, unknown> {
  if (resultType !== undefined && resultType !== 'complete') {
    throw notMcp(skill, 'answered with a kind of result that MCP 2026-07-28 does not have');
  }
  const { _meta: meta } = result;
  if (!isObject(meta) || !(`${RESERVED_META}serverInfo` in meta)) return result;
  const { [`${RESERVED_META}serverInfo`]: _skillsOwn, ...kept } = meta;
  const { _meta: _all, ...others } = result;
  return Object.keys(kept).length === 0 ? others : { ...others, _meta: kept };
}
