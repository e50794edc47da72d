import type { Seen } from './trace-call.ts';

/**
 * Watches sandboxes from outside, for runs in which it is learned what a skill needs. A tracer is a debugger of the
 * skill: a hub that serves is made without one.
 */
export interface Tracer {
  /**
   * Makes ready for one sandbox.
   * @throws AppError `learn-unavailable` when nothing can be watched here.
   */
  watch(order: WatchOrder): Promise<Watch>;
}

/** Which sandbox is to be watched. */
export interface WatchOrder {
  /** The skill's own program, by its path inside. */
  program: string;
  bwrap: string;
  /** What enters its network and becomes bubblewrap; empty where it has none. */
  enter: readonly string[];
  /** The name by which every process around the sandbox is known as this hub's, should the hub die. */
  mark: string;
}

/** The watch over one sandbox. */
export interface Watch {
  /** What is started in bubblewrap's place: bubblewrap last, to which its options are added. */
  readonly command: readonly [program: string, ...words: string[]];
  /** Where that looks for programs. */
  readonly path: string;
  /** Tells all that was seen until now; what a skill did before it answered is told before its answer is read. */
  drain(): void;
  /** Once the sandbox is gone, or was never made: tells the rest, and keeps nothing. Safe to call twice. */
  close(): Promise<void>;
}

/** What a tracer tells; `byOther` when it was not the skill's own program, but one that it started. */
export type TraceListener = (seen: Seen, how: { byOther: boolean }) => void;
