import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { holdOutput } from '../../../hub/sandbox/held-output.ts';
import { verifies } from '../../support/verifies.ts';

/** A program that has said its words and is gone, some turns before anybody listens. */
async function gone(hold: (output: { stdout: Readable; stderr: Readable }) => () => void) {
  const child = spawn('sh', ['-c', 'echo words; echo last >&2']);
  const handOver = hold(child);
  await once(child, 'exit');
  for (let turn = 0; turn < 5; turn += 1) await nextTurn();
  handOver();
  return Promise.all([child.stdout, child.stderr].map(textOf));
}

/** As the runner reads: by `data`. */
async function textOf(stream: Readable): Promise<string> {
  let text = '';
  stream.on('data', (chunk: Buffer) => (text += String(chunk)));
  if (!stream.readableEnded) await once(stream, 'end');
  return text;
}

describe('what a program prints before anybody reads it', () => {
  it('is there once somebody does', verifies('sandbox.last-words'), async () => {
    expect(await gone(holdOutput)).toEqual(['words\n', 'last\n']);
  });

  it('would be thrown away by Node otherwise', async () => {
    expect(await gone(() => () => undefined)).toEqual(['', '']);
  });
});
