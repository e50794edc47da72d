/** A running skill as its memory is accounted for. */
export interface Resident {
  /** What it takes now, and what it took when it was ready. */
  bytes: number;
  firstBytes: number;
  /** Milliseconds since 1970. */
  lastUsed: number;
  /** Without a call: it may be ended. */
  idle: boolean;
}

/**
 * Which idle ones have to go so that what is left, and a newcomer of this size, fit into a budget; and whether it then
 * fits. Each is charged for what it was when it was ready: while that is too much, the least recently used goes. Beyond
 * that somebody has grown, and whoever has grown most goes, never another for it. A grown one that works cannot go; it
 * keeps nobody out meanwhile, for its own limit bounds it.
 */
export function surplus<T extends Resident>(
  all: readonly T[],
  budget: number,
  newcomer = 0,
): { leave: readonly T[]; fits: boolean } {
  const sum = (of: (one: T) => number) => all.reduce((total, one) => total + of(one), newcomer);
  let taken = sum(({ bytes }) => bytes);
  let charged = sum((one) => chargeOf(one));
  const idle = all.filter((one) => one.idle).toSorted((a, b) => a.lastUsed - b.lastUsed);
  const leave: T[] = [];
  while (taken > budget) {
    const next = charged > budget ? idle[0] : mostGrown(idle);
    if (next === undefined) break;
    idle.splice(idle.indexOf(next), 1);
    leave.push(next);
    taken -= next.bytes;
    charged -= chargeOf(next);
  }
  return { leave, fits: charged <= budget || taken <= budget };
}

/** What became smaller again is charged for no more than it takes. */
function chargeOf({ bytes, firstBytes }: Resident): number {
  return Math.min(bytes, firstBytes);
}

function mostGrown<T extends Resident>(idle: readonly T[]): T | undefined {
  const growth = ({ bytes, firstBytes }: Resident) => bytes - firstBytes;
  const [most] = idle.toSorted((a, b) => growth(b) - growth(a));
  return most !== undefined && growth(most) > 0 ? most : undefined;
}
