import type { Surface } from '../../protocol/surface.ts';
import type { Cancellation } from '../cancellation.ts';
import type { AskableCapabilities, CallingClient } from '../questions.ts';
import type { SandboxPlan } from '../sandbox/sandbox.ts';
import type { RemotePlan } from './remote.ts';

/** An approved skill version as the runner needs it. */
export interface RunnableSkill {
  name: string;
  version: string;
  /** The one MCP revision the server speaks, from the manifest. */
  protocol: string;
  /** Changes with every change of grants, bindings or version: a child of another epoch is not reused. */
  epoch: string;
  /** What was approved; the live surface must equal it. */
  surface: Surface;
  /** What its surface was captured with: what its manifest asks to be offered. */
  captured: AskableCapabilities;
  /** What it may be offered at most, from the grants. */
  mayAsk: AskableCapabilities;
  /** An admin approved that it runs without a sandbox; said whenever it starts. */
  unsandboxed?: true;
  /** Longest time for one call, from the grant. */
  timeoutMs: number;
  /** Makes the plan for a start, with every folder read-only or as granted, after re-checking the installed files. Throws what start must fail with. */
  plan(user: string, readOnly: boolean): Promise<SandboxPlan | RemotePlan>;
  /** What a start failed with, with what can be done about it where the skill knows more. */
  explain?(error: unknown): unknown;
}

export interface SkillRequest {
  method: string;
  params: Record<string, unknown>;
  signal: Cancellation;
  onProgress?: ((progress: SkillProgress) => void) | undefined;
  /** Whom the skill may turn to, with no more capabilities than it was granted to use. */
  client?: CallingClient | undefined;
  /** To be done by a process whose folders are all read-only; one that may write is never the same process. */
  readOnly?: boolean;
  /** Which client it is: a process that may ask keeps what it was answered, so it serves one alone. */
  caller?: string;
}

export interface SkillProgress {
  progress: number;
  total?: number;
  message?: string;
}

export interface RunningSkill {
  skill: string;
  version: string;
  user: string;
  /** On the host; 0 while the process is being made, and for a server that runs elsewhere. */
  pid: number;
  startedAt: string;
  /** Whether its folders are all read-only. */
  readOnly: boolean;
  /** In flight now. */
  calls: number;
  /** Of memory, with everything below it, as measured last; 0 before that, and for a server that runs elsewhere. */
  memoryBytes: number;
  state: 'starting' | 'ready' | 'stopping';
}

/** A skill that somebody may soon call. */
export interface WantedSkill {
  skill: RunnableSkill;
  user: string;
  /** When it was used last, in milliseconds since 1970. */
  usedAt: number;
}

/** Owns every child process of the hub. */
export interface Runner {
  /**
   * Sends one request to the skill's child of this user, starting it when needed, and answers with the raw result.
   * Aborting the signal cancels in the skill, too.
   * @throws AppError `skill-start-failed`, `skill-crashed`, `skill-timeout`, `skill-output-invalid`,
   *   `skill-output-too-large`, `skill-busy`, `skill-quarantined`, `skill-error` (with the JSON-RPC
   *   error in `data.rpc`), `remote-failed`, `remote-sign-in`, `call-cancelled`, `unavailable` once closed, and what `plan` or the sandbox throws.
   */
  request(skill: RunnableSkill, user: string, request: SkillRequest): Promise<Record<string, unknown>>;
  running(): readonly RunningSkill[];
  /** Bytes that they all take, as measured last, and the two bounds. */
  memory(): { bytes: number; limitBytes: number; warmBytes: number };
  /**
   * Starts these ahead of their next call, one after the other in this order, as long as they would stay ready: with the
   * least weight, and none while a call is in flight. Resolves when it is done or the runner closed; what does not
   * start is left for the call that needs it. Those whose process serves one client alone are not started.
   */
  startAhead(wanted: readonly WantedSkill[]): Promise<void>;
  /** Ends all children of a skill; calls in flight fail with `skill-crashed` naming the reason. */
  stop(skill: string, reason: string): Promise<void>;
  /** Ends all children and starts no more. */
  close(): Promise<void>;
}

/** What the runner tells the hub. */
export interface RunnerEvents {
  started(event: { skill: string; version: string; user: string; pid?: number; unsandboxed?: true }): void;
  /** A resource that the skill was asked to watch has changed. */
  resourceUpdated(event: { skill: string; user: string; uri: string }): void;
  stopped(event: { skill: string; version: string; user: string; pid?: number; reason: string }): void;
  /** The live surface is not the approved one; the runner has ended the child. */
  surfaceChanged(event: {
    skill: string;
    version: string;
    differences: readonly { path: string; before?: unknown; after?: unknown }[];
  }): void;
}

/** Bounds of the runner, all of them deliberate: a skill can't take more than this, whatever it does. */
export interface RunnerLimits {
  /** Child processes at once, over all skills and users: a bound on descriptors, where memory is what there is. */
  maxChildren: number;
  /** Memory of all of them. What starts beyond it ends idle ones first; see `surplus.ts` for which. */
  memoryBytes: number;
  /** Memory of those that were idle for longer than `idleStopMs` and stay ready; 0 ends each. */
  warmBytes: number;
  /** Calls in flight at one child. */
  maxConcurrentPerChild: number;
  /** A child without a call for so long is ended, unless it may stay ready. */
  idleStopMs: number;
  /** A child that has lived for so long gets no new calls, however busy it is; the next one is a fresh process. */
  maxLifeMs: number;
  /** From the start of the process until its surface is known. */
  startTimeoutMs: number;
  /** For a child to end by itself once its input is closed, and to show a sign of life after a cancelled call. */
  graceMs: number;
  /** For calls in flight at a child that gets no new ones. */
  drainMs: number;
  /**
   * Wait before a start after the second crash in a row; doubles with each further one. The longest is short enough for
   * a skill that works again to be there within two seconds.
   */
  firstBackoffMs: number;
  maxBackoffMs: number;
  /** One message of a skill, in bytes. */
  maxMessageBytes: number;
}

export const DEFAULT_RUNNER_LIMITS: RunnerLimits = {
  maxChildren: 256,
  memoryBytes: 4 * 1024 * 1024 * 1024,
  warmBytes: 0,
  maxConcurrentPerChild: 64,
  idleStopMs: 300_000,
  maxLifeMs: 24 * 3_600_000,
  startTimeoutMs: 20_000,
  graceMs: 2_000,
  drainMs: 10_000,
  firstBackoffMs: 500,
  maxBackoffMs: 1_500,
  maxMessageBytes: 16 * 1024 * 1024,
};
