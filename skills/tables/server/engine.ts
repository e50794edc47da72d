import { Worker } from 'node:worker_threads';
import type { Answers, Job, Reply, Request } from './requests.ts';

/** How long a job that was told to stop may take to do so; some steps of reading a file cannot be interrupted. */
const GRACE_MS = 1500;
/** Objects the thread may hold; the database's memory comes on top and has its own limit. */
const MOST_HEAP_MB = 160;
const MOST_YOUNG_HEAP_MB = 16;
const NEWS_EVERY_MS = 1000;

/** What a caller sets for one request. */
export interface Terms {
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  readonly onNews: (text: string) => void;
}

/** Runs requests in a thread of its own, so that no file and no query can hold up or bring down the server. */
export interface Engine {
  run<R extends Request>(request: R, terms: Terms): Promise<Answers[R['kind']]>;
}

/** An engine that starts its thread with the first request, and a new one after it had to end it. */
export function engine({ script, root }: { readonly script: URL; readonly root: string }): Engine {
  let thread: Worker | undefined;
  let tail: Promise<unknown> = Promise.resolve();

  const running = (): Worker => {
    if (thread) return thread;
    const started = new Worker(script, {
      workerData: root,
      // Standard output belongs to the protocol; what the thread might print must not get there.
      stdout: true,
      stderr: true,
      resourceLimits: { maxOldGenerationSizeMb: MOST_HEAP_MB, maxYoungGenerationSizeMb: MOST_YOUNG_HEAP_MB },
    });
    started.unref();
    started.once('exit', () => {
      if (thread === started) thread = undefined;
    });
    thread = started;
    return started;
  };

  const run = async (
    request: Request,
    { timeoutMs, signal, onNews }: Terms,
  ): Promise<Answers[Request['kind']]> => {
    signal.throwIfAborted();
    const worker = running();
    const flag = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
    let whyStopped: string | undefined;
    let grace: NodeJS.Timeout | undefined;
    let release = (): void => undefined;
    const stop = (why: string): void => {
      if (whyStopped !== undefined) return;
      whyStopped = why;
      Atomics.store(flag, 0, 1);
      grace = setTimeout(() => {
        thread = undefined;
        void worker.terminate();
      }, GRACE_MS);
    };
    const onAbort = (): void => stop('The request was cancelled.');
    const deadline = setTimeout(
      () => stop(`It took longer than ${timeoutMs} ms. Narrow the query, or raise timeoutMs.`),
      timeoutMs,
    );
    let elapsedMs = 0;
    const news = setInterval(() => {
      elapsedMs += NEWS_EVERY_MS;
      onNews(`Working for ${elapsedMs / 1000} s`);
    }, NEWS_EVERY_MS);
    signal.addEventListener('abort', onAbort, { once: true });

    try {
      return await new Promise((resolve, reject) => {
        const listeners = {
          message: (reply: Reply): void => {
            if (reply.kind === 'news') onNews(reply.text);
            else if (whyStopped !== undefined) reject(new Error(whyStopped));
            else if (reply.kind === 'answer') resolve(reply.answer);
            else reject(new Error(reply.message));
          },
          error: (error: NodeJS.ErrnoException): void => {
            reject(error.code === 'ERR_WORKER_OUT_OF_MEMORY' ? new Error(OUT_OF_MEMORY) : error);
          },
          exit: (): void => reject(new Error(whyStopped ?? 'The work ended before its answer.')),
        };
        for (const [event, listener] of Object.entries(listeners)) worker.on(event, listener);
        release = () => {
          for (const [event, listener] of Object.entries(listeners)) worker.off(event, listener);
        };
        // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
        worker.postMessage({ request, flag } satisfies Job);
      });
    } finally {
      release();
      clearTimeout(deadline);
      clearTimeout(grace);
      clearInterval(news);
      signal.removeEventListener('abort', onAbort);
    }
  };

  return {
    run: async (request, terms) => {
      const mine = tail.then(() => run(request, terms));
      tail = mine.catch(() => undefined);
      return (await mine) as never;
    },
  };
}

const OUT_OF_MEMORY =
  'The file needs more memory than there is. Use a smaller one, or one with smaller records.';
