import type { IncomingHttpHeaders, ServerResponse } from 'node:http';
import {
  CLIENT_CAPABILITIES_META_KEY,
  CLIENT_INFO_META_KEY,
  PROTOCOL_VERSION_META_KEY,
} from '@modelcontextprotocol/server';
import { APPS_EXTENSION } from '../../protocol/apps-extension.ts';
import type { Canceller } from '../cancellation.ts';

const MODERN = '2026-07-28';

/** What a session of the older revisions lends to a request that needs no stream of its own. */
export interface LaneSession {
  id: string;
  protocolVersion: string;
  /** What the client calls itself. */
  agent: string | undefined;
  /** Whether the client can be asked. */
  isTalkative: boolean;
  /** Whether it has asked for log messages, which any tool may have. */
  wantsLogs: boolean;
  /** By request id, until answered; aborting is what the client's `notifications/cancelled` does. */
  inFlight: Map<string | number, Pick<Canceller, 'abort'>>;
  /** Keeps the session awake until the response has ended. */
  hold(response: ServerResponse): void;
}

/** A request in perfect form that asks for nothing but its answer. */
export interface Plain {
  id: string | number;
  method: string;
  params: Record<string, unknown>;
  era: 'modern' | 'legacy';
  agent: string | undefined;
  /** Modern clients that can be asked. */
  isTalkative: boolean;
}

type Headers = IncomingHttpHeaders;

/** Streamable HTTP: a client says that it takes both forms of an answer. */
export function acceptsBoth(accept: string | undefined): boolean {
  return accept !== undefined && accept.includes('application/json') && accept.includes('text/event-stream');
}

interface Message {
  id: string | number;
  method: string;
  params: Record<string, unknown>;
  meta: Record<string, unknown>;
}

/** A request whose form leaves nothing to judge, without anything to be told meanwhile. */
function messageOf(body: unknown): Message | undefined {
  if (!isObject(body) || body['jsonrpc'] !== '2.0') return undefined;
  const { id, method, params = {} } = body;
  if (typeof method !== 'string' || !isObject(params)) return undefined;
  if (!hasOnly(body, ['jsonrpc', 'id', 'method', 'params'])) return undefined;
  if (typeof id !== 'string' && !Number.isSafeInteger(id)) return undefined;
  const { _meta: meta = {} } = params;
  if (!isObject(meta) || meta['progressToken'] !== undefined) return undefined;
  return { id: id as string | number, method, params, meta };
}

const PLAIN_CAPABILITIES = new Set(['elicitation', 'sampling', 'roots']);
const ENVELOPE = new Set([PROTOCOL_VERSION_META_KEY, CLIENT_CAPABILITIES_META_KEY, CLIENT_INFO_META_KEY]);

/** MCP 2026-07-28, basic/transports: what headers and envelope say must be what the body says. */
export function modernRequest(headers: Headers, body: unknown): Plain | undefined {
  const message = messageOf(body);
  if (message === undefined || headers['mcp-session-id'] !== undefined) return undefined;
  const { method, params, meta } = message;
  if (headers['mcp-protocol-version'] !== MODERN || headers['mcp-method'] !== method) return undefined;
  if (headers['mcp-name'] !== (method === 'tools/call' ? params['name'] : undefined)) return undefined;
  if (Object.keys(headers).some((name) => name.startsWith('mcp-param-'))) return undefined;
  if (Object.keys(meta).some((key) => key.startsWith('io.modelcontextprotocol/') && !ENVELOPE.has(key)))
    return undefined;
  const capabilities = meta[CLIENT_CAPABILITIES_META_KEY];
  if (meta[PROTOCOL_VERSION_META_KEY] !== MODERN || !isObject(capabilities)) return undefined;
  const declared = Object.entries(capabilities).filter(([name, value]) => !isAppsAlone(name, value));
  // What else a client can do may call for another form of answer, such as a task.
  if (declared.some(([name, value]) => !PLAIN_CAPABILITIES.has(name) || !isTwoDeep(value))) return undefined;
  const agent = agentOf(meta[CLIENT_INFO_META_KEY]);
  if (agent === undefined) return undefined;
  return { ...message, era: 'modern', agent, isTalkative: declared.length > 0 };
}

/** Hosts of MCP Apps say so in every request; it changes nothing about an answer. */
function isAppsAlone(name: string, extensions: unknown): boolean {
  if (name !== 'extensions' || !isObject(extensions)) return false;
  const { [APPS_EXTENSION]: apps, ...others } = extensions;
  return isObject(apps) && Object.keys(others).length === 0;
}

/** Up to 2025-11-25: what was agreed on stands in the session, and its header need not be repeated. */
export function legacyRequest(headers: Headers, body: unknown, session: LaneSession): Plain | undefined {
  const message = messageOf(body);
  const version = headers['mcp-protocol-version'];
  if (message === undefined || session.wantsLogs || session.inFlight.has(message.id)) return undefined;
  if (version !== undefined && version !== session.protocolVersion) return undefined;
  if (Object.keys(message.meta).some((key) => key.startsWith('io.modelcontextprotocol/'))) return undefined;
  return { ...message, era: 'legacy', agent: session.agent, isTalkative: session.isTalkative };
}

/** That a client is ready, in perfect form: nothing waits for it, so that no session has to be woken up. */
export function isReadyNotice(headers: Headers, body: unknown, session: LaneSession): boolean {
  if (!isObject(body) || body['method'] !== 'notifications/initialized' || body['jsonrpc'] !== '2.0')
    return false;
  const version = headers['mcp-protocol-version'];
  return Object.keys(body).length === 2 && (version === undefined || version === session.protocolVersion);
}

/** Objects of objects, as capabilities are. */
function isTwoDeep(value: unknown): boolean {
  return isObject(value) && Object.values(value).every((inner) => isObject(inner));
}

/** The client's name; anything unusual in how it presents itself is for the SDK to judge. */
function agentOf(info: unknown): string | undefined {
  if (!isObject(info)) return undefined;
  const { name, version, ...others } = info;
  return typeof name === 'string' && typeof version === 'string' && Object.keys(others).length === 0
    ? name
    : undefined;
}

/** Whether the params of a list say no more than which page. */
export function asksForPage(params: Record<string, unknown>): params is { cursor?: string } {
  const { cursor } = params;
  return (cursor === undefined || typeof cursor === 'string') && hasOnly(params, ['cursor', '_meta']);
}

/** Whether an object has no other members. */
export function hasOnly(object: Record<string, unknown>, names: readonly string[]): boolean {
  return Object.keys(object).every((name) => names.includes(name));
}

/** A JSON object: not null, not an array. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
