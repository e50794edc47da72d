import { readCall, seenIn, workingFolderIn } from './trace-call.ts';
import type { TraceListener } from './tracer.ts';

/** Longer than any line that strace writes with the options that it is given; what is longer is not read. */
const MAX_LINE_CHARS = 512 * 1024;
/** Calls that were interrupted by another process's line, waiting for their other half. */
const MAX_UNFINISHED = 4_096;
const UNFINISHED = / <unfinished \.\.\.>$/;
const RESUMED = /^(\d+) +<\.\.\. ([a-z0-9_]+) resumed>(.*)$/s;

/** Where relative paths begin until a process shows where it works. */
const FIRST_FOLDER = '/skill';

/** Puts a trace together from the chunks it comes in. */
export interface TraceReader {
  take(chunk: string): void;
  /** Lines that could not be read: more than the bounds allow. */
  lost(): number;
}

/**
 * Tells what a sandbox's processes do from the moment in which the skill's own program is there: what bubblewrap and the
 * launchers did before is no wish of the skill's. `program` is that program's path inside.
 */
export function traceReader(program: string, seen: TraceListener): TraceReader {
  /** Processes that prepared the sandbox; undefined once nothing is to be learned of them. */
  const setup = new Set<number>();
  const unfinished = new Map<number, string>();
  const folders = new Map<number, string>();
  /** Processes that became another program. */
  const others = new Set<number>();
  let started = false;
  let folder = FIRST_FOLDER;
  let rest = '';
  let skipping = false;
  let lost = 0;

  function line(text: string): void {
    if (UNFINISHED.test(text)) {
      const pid = Number.parseInt(text, 10);
      if (unfinished.size < MAX_UNFINISHED) unfinished.set(pid, text.replace(UNFINISHED, ''));
      else lost += 1;
      return;
    }
    const [, pid, , end] = RESUMED.exec(text) ?? [];
    if (pid === undefined || end === undefined) return whole(text);
    const begin = unfinished.get(Number(pid));
    unfinished.delete(Number(pid));
    if (begin !== undefined) whole(`${begin}${end}`);
  }

  function whole(text: string): void {
    const call = readCall(text);
    if (call === undefined) return;
    const { pid, name, errno } = call;
    const cwd = folders.get(pid) ?? folder;
    if (!started) {
      setup.add(pid);
      const [first] = name === 'execve' && errno === undefined ? seenIn(call, cwd) : [];
      if (first?.kind !== 'program' || first.path !== program) return;
      started = true;
      setup.delete(pid);
      return;
    }
    if (setup.has(pid)) return;
    const shown = workingFolderIn(call, cwd);
    if (shown !== undefined) {
      folder = shown;
      if (folders.size < MAX_UNFINISHED) folders.set(pid, shown);
    }
    for (const one of seenIn(call, shown ?? cwd)) {
      seen(one, { byOther: others.has(pid) });
      if (one.kind === 'program' && errno === undefined && others.size < MAX_UNFINISHED) others.add(pid);
    }
  }

  return {
    take(chunk) {
      const parts = (rest + chunk).split('\n');
      rest = parts.pop() ?? '';
      for (const part of parts) {
        if (part.length > MAX_LINE_CHARS) lost += 1;
        else if (!skipping) line(part);
        skipping = false;
      }
      if (rest.length <= MAX_LINE_CHARS) return;
      rest = '';
      if (!skipping) lost += 1;
      skipping = true;
    },
    lost: () => lost,
  };
}
