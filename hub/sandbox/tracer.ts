import type { Seen } from './trace-call.ts';

/**
 * Watches sandboxes from outside, for runs in which it is learned what a skill needs. A tracer is a debugger of the
 * skill: a hub that serves is made without one.
 */
export interface Tracer {
  /**
   * Makes ready for one sandbox, whose skill is the program at this path inside.
   * @throws AppError `learn-unavailable` when nothing can be watched here.
   */
  watch(program: string): Promise<Watch>;
}

/** The watch over one sandbox. */
export interface Watch {
  /** What bubblewrap is started by: a program and its arguments, to which the sandbox's own command is added. */
  readonly command: readonly string[];
  /** Tells all that was seen until now; what a skill did before it answered is told before its answer is read. */
  drain(): void;
  /** Once the sandbox is gone, or was never made: tells the rest, and keeps nothing. Safe to call twice. */
  close(): Promise<void>;
}

/** What a tracer tells; `byOther` when it was not the skill's own program, but one that it started. */
export type TraceListener = (seen: Seen, how: { byOther: boolean }) => void;
