import { describe, expect, it } from 'vitest';
import { boundedFetch } from '../../../hub/runner/bounded-fetch.ts';
import { verifies } from '../../support/verifies.ts';

const MAX = 100;

/** What comes of an answer in these chunks: its text, or that it was ended. */
async function read(type: string, chunks: readonly string[]): Promise<string> {
  let exceeded = 0;
  const body = new ReadableStream({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(new TextEncoder().encode(chunk));
      controller.close();
    },
  });
  const headers = { 'content-type': type };
  const fetch = boundedFetch(
    async () => new Response(body, { headers }),
    MAX,
    () => (exceeded += 1),
  );
  const response = await fetch('https://one.example');
  const text = await response.text().catch(() => 'ended');
  expect(exceeded).toBe(text === 'ended' ? 1 : 0);
  return text;
}

describe('an answer of a remote server', () => {
  const half = 'x'.repeat(60);

  it.each([
    ['a body', 'application/json', [half, half]],
    ['one line of a stream', 'text/event-stream', [`data: ${half}`, half]],
    ['one event in several lines', 'text/event-stream', [`data: ${half}\n`, `data: ${half}\n\n`]],
    [
      'one event with lines that are nearly empty',
      'text/event-stream',
      [`data: ${half}\n:\n`, `data: ${half}\n\n`],
    ],
    [
      'one event behind others in one chunk',
      'text/event-stream',
      [`data: a\n\ndata: ${half}${half}\n\ndata: b\n\n`],
    ],
  ])('is ended when it is too long: %s', verifies('remote.bounded'), async (_what, type, chunks) => {
    expect(await read(type, chunks)).toBe('ended');
  });

  it.each([
    ['\n', 'text/event-stream'],
    ['\r\n', 'text/event-stream; charset=utf-8'],
  ])('may hold any number of events that are not: %j', verifies('remote.bounded'), async (end, type) => {
    const event = `data: ${half}${end}${end}`;
    expect(
      await read(
        type,
        Array.from({ length: 20 }, () => event),
      ),
    ).toBe(event.repeat(20));
    expect(await read(type, [event.repeat(20)])).toBe(event.repeat(20));
  });
});
