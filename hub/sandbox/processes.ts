import { readdir, readFile } from 'node:fs/promises';

/** A process that cannot be mistaken for a later one of the same number. */
export interface ProcessIdentity {
  pid: number;
  /** Clock ticks since boot, from `/proc/<pid>/stat`. */
  startTime: string;
}

/** The longest pause between two looks at a process that is about to end. */
const MAX_PAUSE_MS = 20;

/** Undefined when there is no such process, or nothing but its exit status is left of it. */
export async function identityOf(pid: number): Promise<ProcessIdentity | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  // The name before may hold anything, brackets and spaces too: count from its end (proc_pid_stat(5)).
  const [state, ...fields] = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const startTime = fields[18];
  return state === 'Z' || state === 'X' || startTime === undefined ? undefined : { pid, startTime };
}

/** Whether it is this very process that is still there. */
export async function isAlive({ pid, startTime }: ProcessIdentity): Promise<boolean> {
  return (await identityOf(pid))?.startTime === startTime;
}

/** SIGKILL to this very process; nothing when it is gone. */
export async function killExactly(identity: ProcessIdentity): Promise<void> {
  if (await isAlive(identity)) signal(identity.pid);
}

/** SIGKILL to a process, or, with a negative number, to its group; nothing when there is none. */
export function signal(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Settles when the process has ended; for the first of a process namespace that means: all of it has. */
export async function whenGone(identity: ProcessIdentity): Promise<void> {
  for (let pause = 1; await isAlive(identity); pause = Math.min(pause * 2, MAX_PAUSE_MS)) {
    // Only a parent is told of an end, and this process is nobody's child of ours.
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}

/** How a sandbox's outermost process names itself, or what it carries as an argument, so that a later hub knows whose it was. */
export function markOf(hub: ProcessIdentity, label: string): string {
  return `berth-sandbox:${hub.pid}:${hub.startTime}:${label}`;
}

const MARK = /(?:^|\0)berth-sandbox:(\d+):(\d+):/;

/**
 * Ends sandboxes whose hub is gone. The kernel does that by itself; this is for the instant in which
 * a hub dies while a sandbox is being made, before the kernel knows that the two belong together.
 */
export async function endOrphans(): Promise<number> {
  let ended = 0;
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const command = await readFile(`/proc/${name}/cmdline`, 'latin1').catch(() => '');
    const [, pid, startTime] = MARK.exec(command) ?? [];
    if (pid === undefined || startTime === undefined || (await isAlive({ pid: Number(pid), startTime })))
      continue;
    const orphan = await identityOf(Number(name));
    if (orphan === undefined || !(await belongsToUs(name))) continue;
    await killExactly(orphan);
    ended += 1;
  }
  return ended;
}

/** The marks of other accounts are not ours to judge: anybody can write one. */
async function belongsToUs(pid: string): Promise<boolean> {
  const status = await readFile(`/proc/${pid}/status`, 'latin1').catch(() => '');
  const [, realUid] = /^Uid:\t(\d+)/m.exec(status) ?? [];
  return realUid === String(process.getuid?.());
}
