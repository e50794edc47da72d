import type { Readable } from 'node:stream';

/**
 * Keeps what a program prints until its reader is there. Node throws away the output of a child that has ended while
 * nobody reads it (`flushStdio` of its child_process): of a program that is quick, or when the hub is busy, that would be
 * its last words, lost while its start is still being seen to. A listener for `readable` makes that flush do nothing;
 * no more is kept than the streams' own buffers hold. The answer lets go: whoever reads has to listen in that same turn.
 */
export function holdOutput({ stdout, stderr }: { stdout: Readable; stderr: Readable }): () => void {
  const hold = (): void => undefined;
  for (const stream of [stdout, stderr]) stream.on('readable', hold);
  return () => {
    for (const stream of [stdout, stderr]) stream.off('readable', hold);
  };
}
