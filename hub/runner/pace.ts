import type { Readable } from 'node:stream';
import type { Clock } from '../clock.ts';

/** How much of one stream of a skill is taken in a second, and at once. */
const PER_SECOND = 16 * 1024 * 1024;
const AT_ONCE = 16 * 1024 * 1024;
/** What a line costs beside its bytes, in bytes: that many of them would be parsed in the time. */
const PER_LINE = 1024;

/**
 * Keeps a stream of a skill to a pace that leaves the hub to others: whoever reads it says how much it was, and it is
 * left unread for as long as that was too much. The skill then waits for its own pipe; nothing of what it says is lost.
 */
export function paced(stream: Readable, clock: Clock): (bytes: number, lines: number) => void {
  let left = AT_ONCE;
  let last = clock.now();
  return (bytes, lines) => {
    const now = clock.now();
    // A clock can be put back.
    const gained = (Math.max(0, now - last) / 1000) * PER_SECOND;
    left = Math.min(AT_ONCE, left + gained) - bytes - lines * PER_LINE;
    last = now;
    if (left >= 0) return;
    stream.pause();
    clock.after(Math.ceil((-left / PER_SECOND) * 1000), () => stream.resume());
  };
}
