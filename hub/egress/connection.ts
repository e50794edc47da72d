import type { LookupFunction, Socket } from 'node:net';
import type { RefusalReason } from '../../protocol/audit.ts';
import type { Clock } from '../clock.ts';
import { type addressFault, isOwnDoor, type OwnPlaces } from './addresses.ts';
import type { Bucket } from './bucket.ts';
import { dial, type Dialled } from './dial.ts';
import type { EgressRule } from './egress.ts';
import { DIAL_MS, HELLO_MS, IDLE_MS, MOST_ADDRESSES } from './limits.ts';
import type { Address, Lookup } from './lookups.ts';
import { type Opening, openingReader } from './opening.ts';
import { splice, type Splice } from './splice.ts';

/** A connection out of a sandbox, from its first byte to its last. */
export interface Connection {
  /** Shut, nothing moves, and nothing is dialled. */
  setOpen(open: boolean): void;
  cut(): void;
}

/** What a connection is judged by. */
export interface Border {
  clock: Clock;
  lookup: Lookup;
  own: OwnPlaces;
  /** `addressFault`, except where a test has an internet of its own. */
  faultOf: typeof addressFault;
  bytes: Bucket;
  isOpen(): boolean;
}

interface Wanted {
  inside: Socket;
  host: string;
  port: number;
  /** By which it may go on; never empty. */
  rules: readonly EgressRule[];
}

/** What becomes of it. */
interface Outcome {
  reached(address: string): void;
  refused(reason: RefusalReason, more?: { address?: string; named?: string }): void;
}

/** Reads what it begins with, finds where it leads, checks that, dials just that, and carries bytes from then on. */
export function carry({ inside, host, port, rules }: Wanted, border: Border, outcome: Outcome): Connection {
  let outside: Socket | undefined;
  let joined: Splice | undefined;
  let lastMoved = border.clock.now();
  let stopTimer = border.clock.after(HELLO_MS, () => refuse('too-slow'));

  function cut(): void {
    stopTimer();
    inside.resetAndDestroy();
    outside?.resetAndDestroy();
  }
  function refuse(reason: RefusalReason, more: { address?: string; named?: string } = {}): void {
    if (inside.destroyed) return;
    cut();
    outcome.refused(reason, more);
  }

  inside.setNoDelay(true);
  inside.once('close', () => {
    stopTimer();
    // Whoever asked is gone before there was an answer. A reset of what is still dialled would wait until it is there.
    if (joined === undefined) outside?.destroy();
  });

  const reader = openingReader(rules, host);
  const readOpening = (bytes: Buffer): void => {
    const opening = reader.take(bytes);
    if (opening.kind === 'more') return;
    inside.pause();
    inside.off('data', readOpening);
    stopTimer();
    if (opening.kind === 'refused') refuse(opening.reason, namedIn(opening));
    else startDial(opening);
  };
  // An end before the beginning: nothing will follow.
  inside.once('end', () => {
    if (joined === undefined && outside === undefined && inside.listenerCount('data') > 0) cut();
  });

  function startDial(opening: Extract<Opening, { kind: 'granted' }>): void {
    goOut(opening).catch(() => refuse('unreachable'));
  }

  async function goOut(opening: Extract<Opening, { kind: 'granted' }>): Promise<void> {
    const { rule } = opening;
    if (rule.address === undefined && isOwnDoor(host, port, border.own)) return refuse('own-door');
    const addresses = await whereTo(rule);
    if (inside.destroyed) return;
    if (addresses.length === 0) return refuse('name-unknown');
    for (const { address } of addresses) {
      // All of them: which one a connection takes is for the network to choose.
      const fault = border.faultOf({ address, port, named: rule.address }, border.own);
      if (fault !== undefined) return refuse(fault, { address });
    }
    if (!border.isOpen()) return refuse('between-calls');
    const dialled = dial({ ...placeOf(host, addresses), port, noDelay: true, allowHalfOpen: true });
    const { socket } = dialled;
    outside = socket;
    let wasReached = false;
    stopTimer = border.clock.after(DIAL_MS, () => refuse('unreachable'));
    socket.on('error', () => (wasReached ? undefined : refuse('unreachable')));
    socket.once('connect', () => {
      wasReached = true;
      stopTimer();
      outcome.reached(socket.remoteAddress ?? '');
      if (border.isOpen()) join(dialled, opening);
      else refuse('between-calls');
    });
  }

  async function whereTo(rule: EgressRule): Promise<readonly Address[]> {
    const literal = rule.address ?? (isAddress(host) ? host : undefined);
    if (literal !== undefined) return [{ address: literal, family: literal.includes(':') ? 6 : 4 }];
    return (await border.lookup(host)).slice(0, MOST_ADDRESSES);
  }

  function join(outside: Dialled, { first, gate }: Extract<Opening, { kind: 'granted' }>): void {
    lastMoved = border.clock.now();
    joined = splice(
      { inside, outside, first, gate },
      {
        clock: border.clock,
        bytes: border.bytes,
        moved: () => (lastMoved = border.clock.now()),
        refused: (fault) => refuse(fault.reason, namedIn(fault)),
      },
    );
    watchIdle();
  }

  function watchIdle(): void {
    const left = lastMoved + IDLE_MS - border.clock.now();
    if (left <= 0) return cut();
    stopTimer = border.clock.after(left, watchIdle);
  }

  // Some protocols let the server speak first.
  const opening = reader.take(Buffer.alloc(0));
  if (opening.kind === 'granted') {
    stopTimer();
    inside.pause();
    startDial(opening);
  } else inside.on('data', readOpening);

  return { cut, setOpen: (open) => joined?.setOpen(open) };
}

function namedIn({ named }: { named?: string }): { named?: string } {
  return named === undefined ? {} : { named };
}

function isAddress(host: string): boolean {
  return host.includes(':') || /^\d+\.\d+\.\d+\.\d+$/.test(host);
}

/** What to dial: the checked address, or whichever of them answers first (RFC 8305), whatever the name leads to by now. */
function placeOf(
  name: string,
  addresses: readonly Address[],
): { host: string; lookup?: LookupFunction; autoSelectFamily?: boolean } {
  const [first] = addresses;
  if (first !== undefined && addresses.length === 1) return { host: first.address };
  return {
    host: name,
    autoSelectFamily: true,
    lookup: (_name, _options, callback) => callback(null, [...addresses]),
  };
}
