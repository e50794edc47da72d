import { Worker } from 'node:worker_threads';
import { Refusal } from './refusal.ts';
import type { Answers, Job, Reading, Reply } from './requests.ts';

/** For one job; a page that takes longer is very large, or was made to take long. */
const TIMEOUT_MS = 12_000;
const MOST_HEAP_MB = 256;
const MOST_YOUNG_HEAP_MB = 32;

/** Reads documents in a thread of its own, which no document can make hold up or bring down the server. */
export interface Reader {
  /** @throws Refusal what the document is refused for. */
  run<J extends Job>(job: J, signal: AbortSignal): Promise<Answers[J['kind']]>;
}

/** A document took too long to read. */
class TooSlow extends Refusal {}

/** A page that takes too long to be read in its form, as its words. */
export async function readInTime(
  { run }: Reader,
  job: Extract<Job, { kind: 'page' }>,
  signal: AbortSignal,
): Promise<Reading> {
  try {
    return await run(job, signal);
  } catch (error) {
    if (!(error instanceof TooSlow) || job.mode === 'words') throw error;
    return run({ ...job, mode: 'words' }, signal);
  }
}

/** A reader that starts its thread with the first job, and a new one after it had to end it. Jobs take turns. */
export function reader(script: URL, timeoutMs = TIMEOUT_MS): Reader {
  let thread: Worker | undefined;
  let tail: Promise<unknown> = Promise.resolve();

  function running(): Worker {
    if (thread !== undefined) return thread;
    const started = new Worker(script, {
      // Standard output belongs to the protocol; what a library prints must not get there.
      stdout: true,
      stderr: true,
      resourceLimits: { maxOldGenerationSizeMb: MOST_HEAP_MB, maxYoungGenerationSizeMb: MOST_YOUNG_HEAP_MB },
    });
    started.unref();
    started.once('exit', () => {
      if (thread === started) thread = undefined;
    });
    // Whoever waits hears of it, too; without anybody it would end the server.
    started.on('error', () => undefined);
    thread = started;
    return started;
  }

  async function run(job: Job, signal: AbortSignal): Promise<Answers[Job['kind']]> {
    if (signal.aborted) throw new Refusal('The request was cancelled.');
    const worker = running();
    let release = (): void => undefined;
    try {
      return await new Promise((resolve, reject) => {
        const giveUp = (why: Refusal): void => {
          reject(why);
          if (thread === worker) thread = undefined;
          void worker.terminate();
        };
        const onAbort = (): void => giveUp(new Refusal('The request was cancelled.'));
        const deadline = setTimeout(
          () => giveUp(new TooSlow(`Reading it took longer than ${timeoutMs / 1000} s, so it was given up.`)),
          timeoutMs,
        );
        const onMessage = (reply: Reply): void =>
          reply.kind === 'answer' ? resolve(reply.answer) : reject(new Refusal(reply.message));
        const onError = ({ code, message }: NodeJS.ErrnoException): void =>
          reject(
            new Refusal(
              code === 'ERR_WORKER_OUT_OF_MEMORY' ? TOO_LARGE : `It could not be read: ${message}.`,
            ),
          );
        const onExit = (): void => reject(new Refusal('Reading it ended before it was done.'));
        worker.on('message', onMessage).on('error', onError).on('exit', onExit);
        signal.addEventListener('abort', onAbort, { once: true });
        release = () => {
          clearTimeout(deadline);
          worker.off('message', onMessage).off('error', onError).off('exit', onExit);
          signal.removeEventListener('abort', onAbort);
        };
        // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
        worker.postMessage(job);
      });
    } finally {
      release();
    }
  }

  return {
    run: async (job, signal) => {
      const mine = tail.then(() => run(job, signal));
      tail = mine.catch(() => undefined);
      return (await mine) as never;
    },
  };
}

const TOO_LARGE = 'Reading it takes more memory than there is.';
