import { MOST_NAMES, MOST_NAMES_OF_WILDCARD } from './limits.ts';

/** Out of 127.64.0.0/10: all of 127/8 is local in every network namespace, and this part of it nobody else uses. */
const BASE = (127 << 24) | (64 << 16);

/** Which address stands for which name inside of one sandbox. */
export interface FakeAddresses {
  /** The address of a name; undefined when there are too many. `wildcard` is the host by which it may be asked for. */
  of(name: string, wildcard: string | undefined): string | undefined;
  /** Undefined for an address that was never given out. */
  nameOf(address: string): string | undefined;
}

/** Each name keeps its address for good, and no address ever stands for a second name: what was looked up stays true. */
export function fakeAddresses(): FakeAddresses {
  const byName = new Map<string, string>();
  const byAddress = new Map<string, string>();
  const ofWildcard = new Map<string, number>();
  return {
    nameOf: (address) => byAddress.get(address),
    of(name, wildcard) {
      const known = byName.get(name);
      if (known !== undefined) return known;
      if (byName.size >= MOST_NAMES) return undefined;
      if (wildcard !== undefined) {
        const names = ofWildcard.get(wildcard) ?? 0;
        if (names >= MOST_NAMES_OF_WILDCARD) return undefined;
        ofWildcard.set(wildcard, names + 1);
      }
      const number = BASE + byName.size + 1;
      const address = [24, 16, 8, 0].map((shift) => (number >>> shift) & 255).join('.');
      byName.set(name, address);
      byAddress.set(address, name);
      return address;
    },
  };
}

/** Whether an address could stand for a name, so that it is never one to be taken at its word. */
export function isFakeAddress(address: string): boolean {
  const [first, second] = address.split('.').map(Number);
  return first === 127 && second !== undefined && second >= 64 && second < 128;
}
