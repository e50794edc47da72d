import { performance } from 'node:perf_hooks';
import { cpuOf, machineBusy } from './processes.ts';

/** What some clients at once came to. */
export interface Load {
  calls: number;
  callsPerSecond: number;
  p50Ms: number;
  p99Ms: number;
  /** Of the server itself, and of everything that runs below it: a skill's own work is not the hub's. */
  serverCpuMs: number;
  childCpuMs: number;
  /** Of the clients, which run on the same processors as what they measure. */
  driverCpuMs: number;
  /** Processors that others used meanwhile; more than 0.15 and the figures mean little. */
  foreignCpu: number;
}

/** Lets each client call again and again, first to warm up; a failed call ends the run. */
export async function load(
  calls: readonly (() => Promise<void>)[],
  {
    server,
    warmUpMs = 400,
    measuredMs = 1_500,
  }: { server?: number | undefined; warmUpMs?: number; measuredMs?: number } = {},
): Promise<Load> {
  await loops(calls, warmUpMs);
  const before = usage(server);
  const started = performance.now();
  const times = await loops(calls, measuredMs);
  const seconds = (performance.now() - started) / 1000;
  const after = usage(server);
  const spent = (what: keyof typeof before) => after[what] - before[what];
  return {
    calls: times.length,
    callsPerSecond: times.length / seconds,
    ...percentiles(times),
    serverCpuMs: (spent('server') * 1000) / times.length,
    childCpuMs: (spent('below') * 1000) / times.length,
    driverCpuMs: (spent('driver') * 1000) / times.length,
    foreignCpu: Math.max(0, (spent('machine') - spent('ours')) / seconds),
  };
}

/** The middle and the slow end of some times. */
export function percentiles(times: readonly number[]): { p50Ms: number; p99Ms: number } {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (part: number) =>
    sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN;
  return { p50Ms: at(0.5), p99Ms: at(0.99) };
}

/** The middle of some figures. */
export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

/** Milliseconds of each call of loops that run side by side for so long. */
export async function loops(calls: readonly (() => Promise<void>)[], ms: number): Promise<number[]> {
  const times: number[] = [];
  const until = performance.now() + ms;
  const loop = async (call: () => Promise<void>) => {
    while (performance.now() < until) {
      const started = performance.now();
      await call();
      times.push(performance.now() - started);
    }
  };
  await Promise.all(calls.map(loop));
  return times;
}

function usage(server: number | undefined) {
  const { own, below } = server === undefined ? { own: 0, below: 0 } : cpuOf(server);
  const ours = cpuOf(process.pid);
  return { server: own, below, driver: ours.own, ours: ours.own + ours.below, machine: machineBusy() };
}
