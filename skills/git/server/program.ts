import { spawn } from 'node:child_process';

/** What a run of git came to. */
export interface Ran {
  code: number;
  stdout: Buffer;
  /** Its first lines. */
  stderr: string;
  /** It had more to say than was wanted, and was stopped. */
  truncated: boolean;
}

/** How one run differs from others. */
export interface RunOptions {
  /** Written to its standard input. */
  input?: string | undefined;
  /** Most bytes of its standard output. */
  maxBytes?: number | undefined;
  env?: Readonly<Record<string, string>>;
  signal?: AbortSignal | undefined;
}

const MOST_BYTES = 8 * 1024 * 1024;
const MOST_STDERR_CHARS = 4096;
/** Within the time that a call of this skill has. */
const MOST_MS = 25_000;

/** Runs git with exactly this environment. @throws Error for a program that is not there, or takes too long. */
export async function runGit(
  folder: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  { input, maxBytes = MOST_BYTES, env: more = {}, signal }: RunOptions = {},
): Promise<Ran> {
  const overdue = AbortSignal.timeout(MOST_MS);
  const child = spawn('git', args, {
    cwd: folder,
    env: { ...env, ...more },
    stdio: ['pipe', 'pipe', 'pipe'],
    signal: signal === undefined ? overdue : AbortSignal.any([signal, overdue]),
    killSignal: 'SIGKILL',
  });
  const chunks: Buffer[] = [];
  let [bytes, stderr, truncated] = [0, '', false];
  child.stdout.on('data', (chunk: Buffer) => {
    if (truncated) return;
    chunks.push(chunk.subarray(0, maxBytes - bytes));
    bytes += chunk.length;
    if (bytes <= maxBytes) return;
    truncated = true;
    child.kill('SIGKILL');
  });
  child.stderr.on('data', (chunk: Buffer) => {
    stderr = (stderr + chunk.toString()).slice(0, MOST_STDERR_CHARS);
  });
  // It may end before it has read all; what it says then tells why.
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  return new Promise((resolve, reject) => {
    child.once('error', (error) => reject(inWords(error, overdue.aborted)));
    child.once('close', (code) => {
      if (overdue.aborted) reject(inWords(overdue.reason, true));
      else resolve({ code: truncated ? 0 : (code ?? -1), stdout: Buffer.concat(chunks), stderr, truncated });
    });
  });
}

function inWords(error: unknown, late: boolean): Error {
  if (late)
    return new Error(`git took longer than ${MOST_MS / 1000} s. Ask for less: fewer commits, or one path.`);
  if ((error as NodeJS.ErrnoException).code === 'ENOENT')
    return new Error('There is no program git here: it was not granted to this skill, or is not installed.');
  return error instanceof Error ? error : new Error(String(error));
}
