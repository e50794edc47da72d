import type { Socket } from 'node:net';
import type { Clock } from '../clock.ts';
import type { Bucket } from './bucket.ts';
import type { Dialled } from './dial.ts';
import type { Passed, RequestGate } from './http-host.ts';

/** Two ends of a connection that are one from now on. */
export interface Splice {
  /** Whether anything moves. While it does not, both ends stay as they are, and their peers wait. */
  setOpen(open: boolean): void;
}

interface Ends {
  /** The end in the sandbox, from which nothing was read yet beyond `first`. */
  inside: Socket;
  outside: Dialled;
  first: Buffer;
  gate: RequestGate | undefined;
}

interface Around {
  clock: Clock;
  /** Of the bytes of the session. */
  bytes: Bucket;
  moved(): void;
  refused(fault: NonNullable<Passed['fault']>): void;
}

/** Why an end is not read at the moment; it is read when there is no reason left. */
type Hold = 'shut' | 'full' | 'fast' | 'gate';

/**
 * Carries bytes both ways as they are. Each end is read only as fast as the other takes it; an end that has said all
 * may still listen; one that breaks breaks the other.
 */
export function splice(
  { inside, outside: { socket: outside, give }, first, gate }: Ends,
  around: Around,
): Splice {
  const insideHolds = new Set<Hold>();
  const outsideHolds = new Set<Hold>();
  const hold = (socket: Socket, why: Hold): void => {
    holdsOf(socket).add(why);
    socket.pause();
  };
  const release = (socket: Socket, why: Hold): void => {
    const holds = holdsOf(socket);
    if (holds.delete(why) && holds.size === 0) socket.resume();
  };
  const holdsOf = (socket: Socket) => (socket === inside ? insideHolds : outsideHolds);

  function write(from: Socket, to: Socket, bytes: Buffer | undefined): void {
    if (bytes === undefined || bytes.length === 0 || !to.writable) return;
    if (to.write(bytes)) return;
    hold(from, 'full');
    to.once('drain', () => release(from, 'full'));
  }

  /** Bytes that are there until the end that they came from is read again: not before the other end has them. */
  function pass(from: Socket, to: Socket, bytes: Buffer): void {
    if (!to.writable) return;
    hold(from, 'full');
    to.write(bytes, () => release(from, 'full'));
  }

  function toOutside({ pass, fault }: Passed): void {
    write(inside, outside, pass);
    if (fault !== undefined) around.refused(fault);
    else if (gate?.waits() === true) hold(inside, 'gate');
    else release(inside, 'gate');
  }

  function count(from: Socket, { length }: Buffer): void {
    around.moved();
    const wait = around.bytes.owe(length);
    if (wait <= 0) return;
    hold(from, 'fast');
    around.clock.after(wait, () => release(from, 'fast'));
  }

  function endTogether(from: Socket, to: Socket): void {
    from.once('end', () => to.end());
    from.once('close', (hadError: boolean) => {
      if (hadError) to.resetAndDestroy();
      else if (!from.readableEnded) to.destroy();
    });
  }

  write(inside, outside, first);
  inside.on('data', (bytes: Buffer) => {
    count(inside, bytes);
    toOutside(gate === undefined ? { pass: bytes } : gate.take(bytes));
  });
  give((bytes) => {
    count(outside, bytes);
    pass(outside, inside, bytes);
    if (gate?.waits() === true) toOutside(gate.answer(bytes));
  });
  endTogether(inside, outside);
  endTogether(outside, inside);
  if (gate?.waits() === true) hold(inside, 'gate');
  if (insideHolds.size === 0) inside.resume();

  return {
    setOpen(open) {
      for (const socket of [inside, outside]) {
        if (open) release(socket, 'shut');
        else hold(socket, 'shut');
      }
    },
  };
}
