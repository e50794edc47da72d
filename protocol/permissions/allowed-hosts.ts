import { configKeyOf } from './declared.ts';
import { hostAndPort, isAddress, readHost, type Reading } from './hosts.ts';
import { normalForm } from './lattice.ts';
import { NAME_SERVER_PORT, type NetworkPermission, type Permissions } from './shape.ts';

/** A host that an admin fills in where a manifest asks for `${config.x}`. */
export interface AllowedHost {
  /** An exact name, or `*.` and a name. */
  host: string;
  /** Absent: the ports that the manifest names. */
  port?: number;
  /** Where it is, and nowhere else: the one way to an address that is not public. */
  address?: string;
}

/** How many hosts may stand in one value. */
const MAX_ALLOWED_HOSTS = 32;

/**
 * Reads `name[:port][=address]`, as `--allow-host` takes it; IPv6 addresses stand in brackets. A wildcard has no
 * address, for that would make every name below it the same machine, and a bare address has no name by which a sandbox
 * could ask for it.
 */
export function readAllowedHost(text: string): Reading<AllowedHost> {
  const [place = '', ...more] = text.split('=');
  const at = /^(.*):(\d{1,5})$/.exec(place);
  const port = at?.[2] === undefined ? undefined : Number(at[2]);
  const host = readHost(at?.[1] ?? place);
  if (!host.ok) return host;
  if (configKeyOf(host.value) !== undefined) return refused(`"${text}" is no host`, 'Write the host itself.');
  if (isAddress(host.value)) {
    return refused(
      `"${text}" is an address without a name, which no sandbox can ask for`,
      'Give it a name, such as "example.test=192.0.2.7".',
    );
  }
  if (port !== undefined && (port < 1 || port > 65_535 || port === NAME_SERVER_PORT)) {
    return refused(`the port of "${text}" cannot be granted`, 'Write one from 1 to 65535, but not 53.');
  }
  const found = { host: host.value, ...(port === undefined ? {} : { port }) };
  if (more.length === 0) return { ok: true, value: found };
  if (host.value.startsWith('*.'))
    return refused(`"${text}" is a wildcard with an address`, 'Name the one host that is there.');
  const address = readHost(more.join('='));
  if (!address.ok) return address;
  if (!isAddress(address.value) || /^::ffff:/i.test(address.value)) {
    return refused(
      `what stands behind "=" in "${text}" is no address`,
      'Write one such as 192.0.2.7 or [2001:db8::7].',
    );
  }
  return { ok: true, value: { ...found, address: address.value } };
}

/** Reads a list of them, separated by commas, as a config value holds it; in its one spelling with `allowedHostsText`. */
export function readAllowedHosts(text: string): Reading<AllowedHost[]> {
  const parts = text.split(',').map((part) => part.trim());
  if (parts.length > MAX_ALLOWED_HOSTS)
    return refused(`there are more than ${MAX_ALLOWED_HOSTS} hosts`, 'Grant a wildcard below their domain.');
  const hosts: AllowedHost[] = [];
  for (const part of parts) {
    const reading = readAllowedHost(part);
    if (!reading.ok) return reading;
    hosts.push(reading.value);
  }
  return { ok: true, value: hosts };
}

/** The canonical spelling of a list: `example.test:8443=127.0.0.1,api.example.com`. */
export function allowedHostsText(hosts: readonly AllowedHost[]): string {
  return hosts
    .map(({ host, port, address }) => {
      const place = port === undefined ? host : hostAndPort(host, port);
      if (address === undefined) return place;
      return `${place}=${address.includes(':') ? `[${address}]` : address}`;
    })
    .join(',');
}

/** What the skill is told: the names alone, each once, in the order in which they were given. */
export function allowedHostNames(hosts: readonly AllowedHost[]): string {
  return [...new Set(hosts.map(({ host }) => host))].join(',');
}

/** The config keys that stand for hosts, in the order of the alphabet. */
export function hostKeysOf({ network }: { network: readonly { host: string }[] }): string[] {
  const keys = network.flatMap(({ host }) => configKeyOf(host) ?? []);
  return [...new Set(keys)].sort();
}

/**
 * Permissions with the hosts that config values name in the place of `${config.x}`; what has no readable value stays,
 * and reaches nothing. A host with a port of its own is granted with that port, for each protocol that is asked for it,
 * or, where the manifest does not name this port, for each that it asks of the key.
 */
export function fillHosts(permissions: Permissions, config: Readonly<Record<string, unknown>>): Permissions {
  return normalForm({
    ...permissions,
    network: permissions.network.flatMap((entry) => {
      const key = configKeyOf(entry.host);
      const value = key !== undefined && Object.hasOwn(config, key) ? config[key] : undefined;
      const hosts = typeof value === 'string' ? readAllowedHosts(value) : undefined;
      if (hosts?.ok !== true) return [entry];
      const asked = permissions.network.filter(({ host }) => host === entry.host);
      return hosts.value.flatMap((host) => filled(entry, host, asked));
    }),
  });
}

function filled(
  { port, protocol }: NetworkPermission,
  allowed: AllowedHost,
  asked: readonly NetworkPermission[],
): NetworkPermission[] {
  const own = { ...allowed, port: allowed.port ?? port, protocol };
  const isNamed = asked.some((entry) => entry.port === allowed.port);
  return allowed.port === undefined || allowed.port === port || !isNamed ? [own] : [];
}

function refused(problem: string, remedy: string): { ok: false; problem: string; remedy: string } {
  return { ok: false, problem, remedy };
}
