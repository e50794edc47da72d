import { networkInterfaces } from 'node:os';
import { BlockList, isIP } from 'node:net';

/** IPv4 ranges that lead into a machine, its network or nowhere (IANA special-purpose registry, RFC 6890). */
const PRIVATE_V4: readonly [network: string, prefix: number][] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  // Link-local; clouds answer here with credentials of the machine.
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
  // Azure's own door to a machine, among public addresses.
  ['168.63.129.16', 32],
];

/** Within 2000::/3, the only public part of IPv6: what carries another address, and what is nobody's. */
const PRIVATE_V6: readonly [network: string, prefix: number][] = [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
];

const privateV4 = new BlockList();
for (const [network, prefix] of PRIVATE_V4) privateV4.addSubnet(network, prefix, 'ipv4');
const privateV6 = new BlockList();
for (const [network, prefix] of PRIVATE_V6) privateV6.addSubnet(network, prefix, 'ipv6');
const publicV6 = new BlockList();
publicV6.addSubnet('2000::', 3, 'ipv6');

/**
 * Whether an address is one of the open internet. What is no address is not, nor is an IPv4 address in the clothes of
 * an IPv6 one.
 */
export function isPublicAddress(address: string): boolean {
  switch (isIP(address)) {
    case 4:
      return !privateV4.check(address, 'ipv4');
    case 6:
      return publicV6.check(address, 'ipv6') && !privateV6.check(address, 'ipv6');
    default:
      return false;
  }
}

/** The one spelling that addresses are compared in; undefined for what is none. An IPv4 address in IPv6 is that of IPv4. */
export function plainAddress(text: string): string | undefined {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(text)?.[1];
  if (isIP(mapped ?? text) === 4) return mapped ?? text;
  // A zone says by which interface, which is no part of where to.
  const address = text.replace(/%.*$/s, '');
  if (isIP(address) !== 6) return undefined;
  const spelled = new URL(`http://[${address}]/`).hostname.slice(1, -1);
  const [, high = '', low = ''] = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(spelled) ?? [];
  if (high === '') return spelled;
  const [first, second] = [Number.parseInt(high, 16), Number.parseInt(low, 16)];
  return [first >> 8, first & 255, second >> 8, second & 255].join('.');
}

/** What of this machine and its network is no business of sandboxes. */
export interface OwnPlaces {
  /** Every address of this machine as of now. */
  addresses(): readonly string[];
  /** Where the hub and its registry answer: names or addresses, with ports. */
  doors(): readonly { host: string; port: number }[];
}

/** All addresses that this machine's interfaces have, whenever it is asked. */
export function machineAddresses(): string[] {
  return Object.values(networkInterfaces()).flatMap((all) => (all ?? []).map(({ address }) => address));
}

/** Why an address may not be dialled; undefined where it may. `named` is the one that an admin named for the rule. */
export function addressFault(
  { address, port, named }: { address: string; port: number; named: string | undefined },
  own: OwnPlaces,
): 'address-not-public' | 'own-address' | 'own-door' | 'other-address' | undefined {
  const plain = plainAddress(address);
  if (named !== undefined)
    return plain !== undefined && plain === plainAddress(named) ? undefined : 'other-address';
  if (plain === undefined) return 'address-not-public';
  const isOwn = (other: string) => plainAddress(other) === plain;
  if (own.addresses().some(isOwn)) return 'own-address';
  if (own.doors().some((door) => door.port === port && isOwn(door.host))) return 'own-door';
  // As it came, too: what needs another spelling to be public came from nobody honest.
  return isPublicAddress(plain) && isPublicAddress(address) ? undefined : 'address-not-public';
}

/**
 * Whether a name is one under which the hub or its registry answers. It is compared as a name alone: behind the same
 * public address and port may be a thousand others.
 */
export function isOwnDoor(host: string, port: number, own: OwnPlaces): boolean {
  return own
    .doors()
    .some((door) => door.port === port && door.host.toLowerCase().replace(/\.$/, '') === host);
}
