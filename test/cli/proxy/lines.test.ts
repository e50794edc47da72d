import { Readable } from 'node:stream';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { linesOf } from '../../../cli/proxy/lines.ts';
import { verifies } from '../../support/verifies.ts';

async function read(chunks: readonly Buffer[], maxBytes: number): Promise<string[]> {
  const lines: string[] = [];
  for await (const line of linesOf(Readable.from(chunks), maxBytes)) lines.push(line.toString());
  return lines;
}

describe('the lines of a stream', () => {
  it('are the same however the stream is cut', verifies('proxy.bounded'), async () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'é', '\n', '\r\n', ' '), maxLength: 40 });
    await fc.assert(
      fc.asyncProperty(text, fc.array(fc.nat(60), { maxLength: 5 }), async (whole, cuts) => {
        const bytes = Buffer.from(whole);
        const edges = [0, ...cuts.filter((at) => at <= bytes.length).toSorted((a, b) => a - b), bytes.length];
        const chunks = edges.slice(1).map((end, at) => bytes.subarray(edges[at], end));
        const expected = whole.split(/\r?\n/).filter((line) => line !== '');
        expect(await read(chunks, 1_000)).toEqual(expected);
      }),
    );
  });

  it('that are too long are told and left out', verifies('proxy.bounded'), async () => {
    const chunks = ['12345', '67', '\nok\n', 'toolong\n123456'].map((text) => Buffer.from(text));
    expect(await read(chunks, 6)).toEqual(['too-long', 'ok', 'too-long', '123456']);
  });
});
