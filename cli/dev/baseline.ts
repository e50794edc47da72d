import type { SandboxPlan, SandboxRuntime } from '../../hub/sandbox/sandbox.ts';
import { withUnpacked } from '../pack.ts';
import { liesIn, VARIABLE_MARK } from './ground.ts';
import { LOCAL_USER } from '../../hub/clients.ts';
import { type LearnSandbox, seenHosts } from './sandbox.ts';
import { variableWatch } from './variables.ts';

/** Programs that ask for nothing of their own: start, resolve a name, start a program, know the time and the user. */
const PROGRAMS = {
  node: `
import { execFile } from 'node:child_process';
import dns from 'node:dns/promises';
import os from 'node:os';
import readline from 'node:readline';
import tty from 'node:tty';
const quietly = async (work) => { try { await work(); } catch {} };
await quietly(() => dns.lookup('baseline.invalid'));
await quietly(() => dns.resolve4('baseline.invalid'));
await quietly(() => fetch('http://127.0.0.1:1/'));
await quietly(() => new Promise((resolve) => execFile('baseline-invalid', () => resolve())));
await quietly(() => [os.userInfo(), os.homedir(), os.tmpdir()]);
await quietly(() => tty.WriteStream.prototype.getColorDepth());
await quietly(() => readline.createInterface({ input: process.stdin }).close());
new Date().toLocaleString();
process.exit(0);
`,
  python: `
import asyncio, datetime, getpass, json, locale, logging, os, pwd, socket, ssl, subprocess, sys, tempfile, time, urllib.request
def quietly(work):
    try: work()
    except BaseException: pass
quietly(lambda: socket.getaddrinfo('baseline.invalid', 443))
quietly(lambda: urllib.request.urlopen('http://127.0.0.1:1/', timeout=1))
quietly(lambda: subprocess.run(['baseline-invalid']))
quietly(lambda: ssl.create_default_context())
quietly(lambda: getpass.getuser())
quietly(lambda: os.path.expanduser('~'))
quietly(lambda: datetime.datetime.now().astimezone())
quietly(lambda: tempfile.gettempdir())
`,
};
const TIMEOUT_MS = 20_000;
/** Places of the system that only loaders look into, in whatever program. */
const LOADER_PLACES = [
  '/etc/ld.so.cache',
  '/etc/ld.so.preload',
  '/lib',
  '/lib64',
  '/usr/lib',
  '/usr/lib64',
  '/usr/share/locale',
];

/** What a runtime does by itself: paths and variables that say nothing of a skill. */
export interface Baseline {
  isUsualPath(path: string): boolean;
  isUsualVariable(name: string): boolean;
}

/**
 * Runs a program that needs nothing in the skill's place and remembers what is seen. Started in the same way, at the
 * same path, it looks where the skill's runtime looks.
 * @throws AppError what starting throws.
 */
export async function baselineOf(
  { driver, listen }: LearnSandbox,
  runtime: SandboxRuntime,
): Promise<Baseline> {
  const { kind, entry } = runtime;
  // A binary has no runtime: what it looks for is its own wish.
  if (kind === 'binary') {
    return {
      isUsualPath: (path) => LOADER_PLACES.some((place) => liesIn(path, place)),
      isUsualVariable: () => false,
    };
  }
  const paths = new Set<string>();
  listen((seen) => {
    if (seen.kind === 'path') paths.add(seen.path);
  });
  const watch = variableWatch(kind);
  const hasBorder = (await driver.report()).enforces.includes('hostFilter');
  await withUnpacked(
    [{ path: entry, mode: 0o644, bytes: Buffer.from(PROGRAMS[kind]) }],
    async (packageDir) => {
      const plan: SandboxPlan = {
        label: 'baseline',
        packageDir,
        runtime: { kind, entry, args: [] },
        mounts: [],
        scratch: [],
        files: watch?.files ?? {},
        env: watch?.env ?? {},
        programs: [],
        // A name that is answered leads a resolver to more places than one that is not.
        network: hasBorder ? seenHosts([]) : [],
        holder: { skill: 'baseline', user: LOCAL_USER, background: false },
        limits: { memoryMb: 256, cpus: 1, pids: 32, diskMb: 4 },
      };
      const process = await driver.start(plan);
      process.stdin.end();
      process.stdout.resume();
      process.stderr.resume();
      const timer = setTimeout(() => void process.kill(), TIMEOUT_MS);
      await process.exited.finally(() => clearTimeout(timer));
    },
  );
  return {
    isUsualPath: (path) => paths.has(path),
    isUsualVariable: (name) => paths.has(`${VARIABLE_MARK}${name}`),
  };
}
