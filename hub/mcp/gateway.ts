import type { Principal } from '../../protocol/policy.ts';
import type { SkillEntry } from '../../protocol/skills-extension.ts';
import type { Cancellation } from '../cancellation.ts';
import type { CallingClient } from '../questions.ts';

export type { Principal };

/**
 * What the MCP endpoint needs of the hub. The endpoint knows protocol eras, sessions and streams;
 * the gateway knows skills, policy and audit. Neither knows the other's business.
 */
export interface Gateway {
  /** Everything this principal may see in the scope, in wire form and deterministic order. Never starts a skill. */
  view(principal: Principal, scope: Scope): GatewayView;
  /**
   * Carries one request through the call path (`hub/call.ts`) and answers with the MCP result object.
   * @throws AppError: `tool-not-found`, `prompt-not-found`, `resource-not-found`, `arguments-invalid` are
   *   faults of the request; everything else is an outcome that the endpoint renders as an `isError`
   *   tool result, or as a JSON-RPC error where the method has no such form.
   */
  request(principal: Principal, scope: Scope, request: GatewayRequest): Promise<Record<string, unknown>>;
  /**
   * Tells whenever a resource changes, until the returned function is called. The subscription is a request like any
   * other: decided, and on record.
   * @throws AppError as `request` does.
   */
  subscribe(principal: Principal, scope: Scope, uri: string, updated: () => void): Promise<() => void>;
  /** Tells when the view of some principal may have changed; answers with the way to stop listening. */
  onChange(listener: () => void): () => void;
}

/** All skills (`/mcp`, names prefixed) or one skill (`/s/<namespace>/<name>/mcp`, unprefixed). */
export type Scope = { kind: 'all' } | { kind: 'skill'; name: string };

export interface GatewayView {
  instructions?: string;
  tools: readonly Record<string, unknown>[];
  prompts: readonly Record<string, unknown>[];
  resources: readonly Record<string, unknown>[];
  resourceTemplates: readonly Record<string, unknown>[];
  /** Agent Skills: packages with a SKILL.md, as the Skills extension lists them. */
  skills: readonly SkillEntry[];
  /** Whether any skill in view completes arguments. */
  completions: boolean;
  /** Whether any skill in view has log messages to send. */
  logging: boolean;
  /** Whether any skill in view tells of changes of its resources. */
  subscribable: boolean;
  /** Names of the tools whose skills may turn to the client during a call. */
  asking: ReadonlySet<string>;
}

export interface GatewayRequest {
  method: 'tools/call' | 'resources/read' | 'resources/subscribe' | 'prompts/get' | 'completion/complete';
  /** The request's params as the client sent them, `_meta` included. */
  params: Record<string, unknown>;
  /** Aborts when the client cancels or goes away. */
  signal: Cancellation;
  /** Set when the client asked for progress. */
  onProgress?: ((progress: { progress: number; total?: number; message?: string }) => void) | undefined;
  /** Whom the skill may turn to meanwhile, where the client can be asked or wants to hear its log. */
  client?: CallingClient | undefined;
  /** The client by its name in the hub; the call path sets it. */
  caller?: string;
}
