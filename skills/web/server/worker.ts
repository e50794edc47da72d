import { parentPort } from 'node:worker_threads';
import robotsParser from 'robots-parser';
import { readDocument } from './document.ts';
import type { Answers, Job, Reply } from './requests.ts';

/** Longer lines of a robots.txt name no page that anybody asks for, and take long to compare with. */
const MOST_LINE_CHARS = 2_000;

/** Its types say nothing of what it exports. */
const parseRobots = robotsParser as unknown as (
  url: string,
  text: string,
) => { isAllowed(url: string, agent: string): boolean | undefined };

/** The thread that reads documents. It answers one job after the other, until the process ends. */
export function work(): void {
  const port = parentPort;
  if (port === null) throw new Error('This is not a worker thread.');
  const send = (reply: Reply): void => port.postMessage(reply);
  port.on('message', (job: Job) => {
    perform(job).then(
      (answer) => send({ kind: 'answer', answer }),
      (error: unknown) =>
        send({ kind: 'refusal', message: error instanceof Error ? error.message : String(error) }),
    );
  });
}

async function perform(job: Job): Promise<Answers[Job['kind']]> {
  return job.kind === 'page' ? readDocument(job) : judge(job);
}

function judge({ text, url, agent }: Extract<Job, { kind: 'robots' }>): boolean {
  const lines = text.split(/\r\n|\r|\n/).filter((line) => line.length <= MOST_LINE_CHARS);
  // What no rule speaks of may be fetched (RFC 9309 §2.2.2).
  return parseRobots(new URL('/robots.txt', url).href, lines.join('\n')).isAllowed(url, agent) ?? true;
}
