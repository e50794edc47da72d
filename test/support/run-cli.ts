import { PassThrough, Readable, Transform } from 'node:stream';
import { text } from 'node:stream/consumers';
import type { Envelope } from '../../cli/output.ts';
import { run } from '../../cli/main.ts';

/** How a command line is run: everything that a process would inherit, nothing of it from this one. */
export interface CliOptions {
  env?: Record<string, string>;
  cwd?: string;
  /** What is piped into it; nothing when left out. */
  stdin?: string;
  /** Whether its standard output and error claim to be a terminal. */
  terminal?: boolean;
  /** Hears what it says on standard error while it runs. */
  told?: (text: string) => void;
}

export interface CliResult {
  code: number;
  stdout: string;
  stderr: string;
  /** The `--json` answer; fails the test when stdout is anything else. */
  json(): Envelope;
  /** `data` of a successful answer. */
  data(): unknown;
}

/** Runs one command line in this process, through the same door as the `berth` command. */
export async function runCli(argv: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  const stdout = stream(options.terminal);
  const stderr = stream(options.terminal, options.told);
  const collected = Promise.all([text(stdout), text(stderr)]);
  const code = await run({
    argv,
    env: { PATH: process.env['PATH'] ?? '', ...options.env },
    cwd: options.cwd ?? '/',
    stdin: Readable.from(options.stdin === undefined ? [] : [Buffer.from(options.stdin)]),
    stdout,
    stderr,
    signal: new AbortController().signal,
    hasten: new AbortController().signal,
  });
  stdout.end();
  stderr.end();
  const [out, err] = await collected;
  return resultOf(code, out, err);
}

function stream(
  terminal = false,
  told = (_text: string): void => undefined,
): Transform & { isTTY?: boolean } {
  const through = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      told(chunk.toString());
      done(null, chunk);
    },
  });
  return Object.assign(through, terminal ? { isTTY: true } : {});
}

function resultOf(code: number, stdout: string, stderr: string): CliResult {
  const json = (): Envelope => JSON.parse(stdout) as Envelope;
  return {
    code,
    stdout,
    stderr,
    json,
    data() {
      const answer = json();
      if (!answer.ok) throw new Error(`the command failed: ${stdout}`);
      return answer.data;
    },
  };
}

/** `berth up` inside this process, on ports that were free. */
export interface UpHere {
  hub: string;
  registry: string;
  mcp: string;
  /** Asks it to stop, as Ctrl-C does; answers with the exit code and all it wrote to stdout. */
  stop(): Promise<{ code: number; stdout: string }>;
}

/** Starts `berth up --json` in this process and waits for its first line. */
export async function upHere(home: string): Promise<UpHere> {
  const stopping = new AbortController();
  const stdout = new PassThrough();
  const stderr = new PassThrough();
  let written = '';
  const ready = new Promise<void>((resolve) => {
    stdout.on('data', (chunk: Buffer) => {
      written += chunk.toString('utf8');
      if (written.includes('\n')) resolve();
    });
  });
  stderr.resume();
  const ended = run({
    argv: ['up', '--json', '--hub-port', '0', '--registry-port', '0'],
    env: { PATH: process.env['PATH'] ?? '', BERTH_HOME: home },
    cwd: '/',
    stdin: Readable.from([]),
    stdout,
    stderr,
    signal: stopping.signal,
    hasten: new AbortController().signal,
  });
  await Promise.race([ready, ended]);
  const first = JSON.parse(written.split('\n')[0] ?? '') as UpHere & { error?: unknown };
  if (first.error !== undefined) throw new Error(`berth up failed: ${written}`);
  return {
    hub: first.hub,
    registry: first.registry,
    mcp: first.mcp,
    async stop() {
      stopping.abort();
      return { code: await ended, stdout: written };
    },
  };
}
