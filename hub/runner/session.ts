import { z } from 'zod';
import { AppError } from '../../protocol/errors.ts';
import { isObject, type Peer, type PeerRequest } from './peer.ts';
import { notMcp } from './pipe.ts';

/** The revision without handshake and sessions; every request says what an older one agreed on at the start. */
const MODERN = '2026-07-28';

const RESERVED_META = 'io.modelcontextprotocol/';

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
   * taken off: reserved `_meta` keys, progress tokens, and 2026-07-28's `resultType`.
   */
  request(request: PeerRequest): Promise<Record<string, unknown>>;
  /** Whether the skill still answers anything at all within so many milliseconds. */
  isAlive(timeoutMs: number): Promise<boolean>;
}

/** What the hub writes into the `_meta` of everything it sends to a skill of this revision. */
export function envelopeOf(protocol: string, identity: Identity): Record<string, unknown> {
  if (protocol !== MODERN) return {};
  return {
    [`${RESERVED_META}protocolVersion`]: MODERN,
    [`${RESERVED_META}clientInfo`]: identity,
    [`${RESERVED_META}clientCapabilities`]: {},
  };
}

const capabilities = z.record(z.string(), z.unknown()).default({});
const instructions = z.string().max(100_000).optional();
const discovered = z.looseObject({ supportedVersions: z.array(z.string()), capabilities, instructions });
const initialized = z.looseObject({ protocolVersion: z.string(), capabilities, instructions });

/**
 * Opens the session. The skill is never probed: it speaks the one revision of its manifest, or it does
 * not start. It is offered no client capabilities, so it may ask nothing of its client.
 * @throws AppError `skill-start-failed` when the skill speaks another revision, and what `peer` throws.
 */
export async function openSession({
  peer,
  skill,
  protocol,
  identity,
  timeoutMs,
}: {
  peer: Peer;
  skill: string;
  protocol: string;
  identity: Identity;
  timeoutMs: number;
}): Promise<Session> {
  const opened =
    protocol === MODERN
      ? await discover(peer, skill, timeoutMs)
      : await initialize(peer, skill, { protocol, identity, timeoutMs });
  return {
    instructions: opened.instructions,
    capabilities: opened.capabilities,
    async request(request) {
      const result = await peer.request({ ...request, params: withoutHopMeta(request.params) });
      return protocol === MODERN ? ofModern(skill, result) : result;
    },
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

async function discover(peer: Peer, skill: string, timeoutMs: number) {
  const answer = await opening(
    skill,
    MODERN,
    peer.request({ method: 'server/discover', params: {}, timeoutMs }),
  );
  const parsed = discovered.safeParse(answer);
  if (!parsed.success) throw notMcp(skill, 'answered server/discover with something else', parsed.error);
  if (!parsed.data.supportedVersions.includes(MODERN)) {
    throw wrongRevision(skill, MODERN, parsed.data.supportedVersions.join(', '));
  }
  return parsed.data;
}

async function initialize(
  peer: Peer,
  skill: string,
  { protocol, identity, timeoutMs }: { protocol: string; identity: Identity; timeoutMs: number },
) {
  const params = { protocolVersion: protocol, capabilities: {}, clientInfo: identity };
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
  });
}

/** Reserved keys speak of the hop they were sent on: a client's say nothing true about the hub's own requests. */
function withoutHopMeta(params: Record<string, unknown>): Record<string, unknown> {
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
  if (resultType === 'input_required') {
    throw new AppError('skill-error', {
      detail: `${skill} asks the user for input, which this hub does not offer to skills.`,
      data: { rpc: { code: -32021, message: 'The client offers no input.' } },
    });
  }
  if (resultType !== undefined && resultType !== 'complete') {
    throw notMcp(skill, 'answered with a kind of result that MCP 2026-07-28 does not have');
  }
  const { _meta: meta } = result;
  if (!isObject(meta) || !(`${RESERVED_META}serverInfo` in meta)) return result;
  const { [`${RESERVED_META}serverInfo`]: _skillsOwn, ...kept } = meta;
  const { _meta: _all, ...others } = result;
  return Object.keys(kept).length === 0 ? others : { ...others, _meta: kept };
}
