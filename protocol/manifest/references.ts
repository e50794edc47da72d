import { pathText, type Fault } from '../faults.ts';
import { configKeyOf, headerOf } from '../permissions/declared.ts';
import { readAllowedHosts } from '../permissions/allowed-hosts.ts';
import { hostCovers, readHost } from '../permissions/hosts.ts';
import { referencesIn } from '../permissions/paths.ts';

/** A fault with its path in segments, as zod wants it. */
export interface PlacedFault extends Fault {
  at: PropertyKey[];
}

/**
 * What is wrong between the parts of a manifest. It reads a document that may have any other fault,
 * looks only at parts that have the right form, and leaves the rest to the schema.
 */
export function crossFaults(manifest: unknown): PlacedFault[] {
  const document = new Place(manifest, []);
  return [
    ...referenceFaults(document),
    ...configFaults(document),
    ...hostDefaultFaults(document),
    ...secretFaults(document),
    ...runtimeFaults(document),
    ...statelessFaults(document),
  ];
}

/** A place in a document of unknown form: looking for what is not there finds nothing. */
class Place {
  readonly value: unknown;
  readonly at: PropertyKey[];

  constructor(value: unknown, at: PropertyKey[]) {
    this.value = value;
    this.at = at;
  }

  get(key: string): Place {
    const found = isObject(this.value) && Object.hasOwn(this.value, key) ? this.value[key] : undefined;
    return new Place(found, [...this.at, key]);
  }

  entries(): Place[] {
    if (!Array.isArray(this.value)) return [];
    return this.value.map((entry: unknown, index) => new Place(entry, [...this.at, index]));
  }

  keys(): string[] {
    return isObject(this.value) ? Object.keys(this.value) : [];
  }

  get text(): string | undefined {
    return typeof this.value === 'string' ? this.value : undefined;
  }

  fault(problem: string, remedy: string): PlacedFault {
    return { at: this.at, path: pathText(this.at), problem, remedy };
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Each `${config.x}` must be declared, with a type that fits the place. */
function referenceFaults(document: Place): PlacedFault[] {
  const permissions = document.get('permissions');
  const config = document.get('config');
  const check = (
    place: Place,
    key: string | undefined,
    type: 'string' | 'directory' | 'any',
  ): PlacedFault[] => {
    if (key === undefined) return [];
    const declared = config.get(key);
    if (declared.value === undefined) {
      return [
        place.fault(`mentions "\${config.${key}}", which config does not declare`, `Add "${key}" to config.`),
      ];
    }
    const actual = declared.get('type').text;
    if (type === 'any' || actual === undefined || actual === type) return [];
    return [
      place.fault(
        `needs a ${type}, but config.${key} is a ${actual}`,
        `Give config.${key} the type "${type}".`,
      ),
    ];
  };

  const hosts = permissions
    .get('network')
    .entries()
    .map((entry) => entry.get('host'));
  const paths = permissions
    .get('filesystem')
    .entries()
    .map((entry) => entry.get('path'));
  const injections = permissions
    .get('secrets')
    .entries()
    .map((entry) => entry.get('inject'));
  return [
    ...hosts.flatMap((host) => check(host, configKeyOf(host.text ?? ''), 'string')),
    ...paths.flatMap((path) => check(path, configKeyOf(path.text ?? ''), 'directory')),
    ...injections.flatMap((inject) =>
      check(inject, configKeyOf(headerOf(inject.text ?? '')?.host ?? ''), 'string'),
    ),
    ...document
      .get('runtime')
      .get('args')
      .entries()
      .flatMap((argument) =>
        referencesIn(argument.text ?? '').flatMap((name) => {
          if (name === 'workspace' || name === 'data') return [];
          const key = configKeyOf(`\${${name}}`);
          if (key !== undefined) return check(argument, key, 'any');
          return [
            argument.fault(
              `mentions "\${${name}}", which stands for nothing`,
              'Use ${workspace}, ${data} or ${config.x}.',
            ),
          ];
        }),
      ),
  ];
}

/** A default that stands for hosts is granted as it is: only an admin may say where a host is. */
function hostDefaultFaults(document: Place): PlacedFault[] {
  const hosts = document.get('permissions').get('network').entries();
  const keys = new Set(hosts.flatMap((entry) => configKeyOf(entry.get('host').text ?? '') ?? []));
  return [...keys].flatMap((key) => {
    const place = document.get('config').get(key).get('default');
    if (place.text === undefined) return [];
    const reading = readAllowedHosts(place.text);
    if (!reading.ok) return [place.fault(`stands for hosts, but ${reading.problem}`, reading.remedy)];
    if (reading.value.every(({ address }) => address === undefined)) return [];
    return [place.fault('names the address of a host', 'Name the host alone; the admin says where it is.')];
  });
}

/** `BERTH_CONFIG_<KEY>` is upper case, so two keys must differ in more than case. */
function configFaults(document: Place): PlacedFault[] {
  const config = document.get('config');
  const seen = new Map<string, string>();
  return config.keys().flatMap((key) => {
    const first = seen.get(key.toUpperCase());
    seen.set(key.toUpperCase(), first ?? key);
    if (first === undefined) return [];
    return [config.get(key).fault(`differs from "${first}" only in case`, 'Rename one of them.')];
  });
}

function secretFaults(document: Place): PlacedFault[] {
  const permissions = document.get('permissions');
  const env = permissions
    .get('env')
    .entries()
    .map(({ text }) => text);
  const names = new Set<string>();
  return permissions
    .get('secrets')
    .entries()
    .flatMap((secret) => {
      const faults: PlacedFault[] = [];
      const name = secret.get('name');
      if (name.text !== undefined) {
        if (names.has(name.text)) faults.push(name.fault('is there twice', 'Declare each secret once.'));
        if (env.includes(name.text)) {
          faults.push(
            name.fault('is also listed in env', 'Remove it from env; a secret is not passed through.'),
          );
        }
        names.add(name.text);
      }
      return [...faults, ...headerFaults(secret.get('inject'), permissions)];
    });
}

/** A secret can be added only to requests that the skill may make, and only where they are HTTP. */
function headerFaults(inject: Place, permissions: Place): PlacedFault[] {
  const host = canonical(headerOf(inject.text ?? '')?.host);
  if (host === undefined) return [];
  const reachable = permissions
    .get('network')
    .entries()
    .filter((entry) => {
      const granted = canonical(entry.get('host').text);
      return granted !== undefined && hostCovers(granted, host) && entry.get('protocol').text !== 'tcp';
    });
  if (reachable.length > 0) return [];
  return [
    inject.fault(
      `sends the secret to ${host}, which network does not list with tls or http`,
      `Add {"host": "${host}"} to permissions.network.`,
    ),
  ];
}

function canonical(host: string | undefined): string | undefined {
  const reading = host === undefined ? undefined : readHost(host);
  return reading?.ok === true ? reading.value : undefined;
}

function runtimeFaults(document: Place): PlacedFault[] {
  const kind = document.get('runtime').get('kind').text;
  if (kind === 'prompt-only') return promptOnlyFaults(document);
  return kind === 'remote' ? remoteFaults(document) : [];
}

/** Instructions run nothing: permissions or tools would promise what is not there. */
function promptOnlyFaults(document: Place): PlacedFault[] {
  const permissions = document.get('permissions');
  const asked = LISTS.map((list) => permissions.get(list)).filter((list) => list.entries().length > 0);
  const tools = document.get('tools');
  return [
    ...asked.map((list) => list.fault('is asked for, but instructions run nothing', 'Remove it.')),
    ...(tools.keys().length > 0
      ? [tools.fault('declares tools, but instructions have none', 'Remove it.')]
      : []),
  ];
}

/** What is said of processes of ours means nothing for a skill that has none. */
function statelessFaults(document: Place): PlacedFault[] {
  const kind = document.get('runtime').get('kind').text;
  const stateless = document.get('stateless');
  if (stateless.value !== true || (kind !== 'remote' && kind !== 'prompt-only')) return [];
  return [
    stateless.fault(`has no meaning for a ${kind} skill, of which no process runs here`, 'Leave it out.'),
  ];
}

const LISTS = ['network', 'filesystem', 'secrets', 'env', 'subprocess'] as const;

/**
 * A remote server runs on somebody else's machine: the hub can give it nothing but requests, and it
 * reaches it only through the network grant, which therefore has to name it.
 */
function remoteFaults(document: Place): PlacedFault[] {
  const permissions = document.get('permissions');
  const impossible = (['filesystem', 'env', 'subprocess'] as const)
    .map((list) => permissions.get(list))
    .filter((list) => list.entries().length > 0)
    .map((list) => list.fault('is asked for, but a remote server runs elsewhere', 'Remove it.'));
  const visible = permissions
    .get('secrets')
    .entries()
    .map((secret) => secret.get('inject'))
    .filter((inject) => inject.text === undefined || inject.text === 'env' || inject.text === 'file')
    .map((inject) => inject.fault('cannot reach a remote server', 'Use header:<host>:<Header>.'));

  const address = document.get('runtime').get('url');
  if (address.text === undefined || !URL.canParse(address.text)) return [...impossible, ...visible];
  const url = new URL(address.text);
  const host = canonical(url.hostname);
  if (host === undefined) return [...impossible, ...visible];
  const port = url.port === '' ? 443 : Number(url.port);
  const listed = permissions
    .get('network')
    .entries()
    .some((entry) => {
      const granted = canonical(entry.get('host').text);
      const ports = entry.get('ports').value ?? [443];
      return (
        granted !== undefined && hostCovers(granted, host) && Array.isArray(ports) && ports.includes(port)
      );
    });
  const unlisted = address.fault(
    `is at ${host}:${port}, which network does not list`,
    `Add {"host": "${host}", "ports": [${port}]} to permissions.network.`,
  );
  return [...impossible, ...visible, ...(listed ? [] : [unlisted])];
}
