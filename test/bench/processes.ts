import { readdirSync, readFileSync } from 'node:fs';

const CLOCK_TICKS_PER_SECOND = 100;

interface Stat {
  pid: number;
  parent: number;
  /** Seconds of its own, and of its children that have ended. */
  own: number;
  ended: number;
}

/** Seconds of processor time of a process, and of everything below it, the dead included. */
export function cpuOf(pid: number): { own: number; below: number } {
  const all = processes();
  const own = all.find((one) => one.pid === pid);
  const below = descendants(pid, all).reduce((sum, one) => sum + one.own + one.ended, own?.ended ?? 0);
  return { own: own?.own ?? 0, below };
}

/** Children, grandchildren and so on that live now. */
export function childrenOf(pid: number): number[] {
  return descendants(pid, processes()).map((one) => one.pid);
}

/** A process and all below it that live now. */
export function treeOf(pid: number): number[] {
  return [pid, ...childrenOf(pid)];
}

/** The command line of a process, its parts parted by spaces. */
export function commandOf(pid: number): string {
  return readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ');
}

/** Seconds that all processors of the machine were busy since it started. */
export function machineBusy(): number {
  // proc(5): user, nice, system, idle, iowait, irq, softirq.
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0] =
    readFileSync('/proc/stat', 'utf8').split('\n', 1)[0]?.split(/\s+/).slice(1).map(Number) ?? [];
  return (user + nice + system + irq + softirq) / CLOCK_TICKS_PER_SECOND;
}

/** Memory of a process that is in use now, in kB. */
export function residentKb(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? Number.NaN);
}

function processes(): Stat[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        return [parse(Number(name), readFileSync(`/proc/${name}/stat`, 'utf8'))];
      } catch {
        return [];
      }
    });
}

/** proc(5): the name, the second field, may hold anything; what follows it is counted from its end. */
function parse(pid: number, text: string): Stat {
  const fields = text
    .slice(text.lastIndexOf(')') + 2)
    .split(' ')
    .map(Number);
  const seconds = (...at: number[]) =>
    at.reduce((sum, field) => sum + (fields[field] ?? 0), 0) / CLOCK_TICKS_PER_SECOND;
  return { pid, parent: fields[1] ?? 0, own: seconds(11, 12), ended: seconds(13, 14) };
}

function descendants(pid: number, all: readonly Stat[]): Stat[] {
  return all.filter((one) => one.parent === pid).flatMap((child) => [child, ...descendants(child.pid, all)]);
}
