import { basename, dirname, normalize, resolve } from 'node:path';
import { isSteering } from '../../protocol/permissions.ts';
import { refused } from './launches.ts';
import { isSecretName, isSecretValue } from './secret-like.ts';

/** What lies at a path of this machine. */
export type Look = (path: string) => 'folder' | 'file' | 'nothing';

/** A host that an argument or a variable names. */
export interface NamedHost {
  host: string;
  port: number;
  protocol: 'tls' | 'http' | 'tcp';
}

/** A folder that an argument or a variable names, and where its path is kept from now on. */
export interface BoundFolder {
  /** `${workspace}` or `${config.<key>}`. */
  root: string;
  path: string;
  /** The argument or variable that names it. */
  from: string;
}

/** A text with parts that are known at the start only, in order. */
export type Part = string | { folder: string } | { config: string } | { secret: string };

/** What arguments and variables of a server become: nothing of this machine and no secret is left in the package. */
export interface Values {
  args: readonly (readonly Part[])[];
  env: Readonly<Record<string, readonly Part[]>>;
  folders: readonly BoundFolder[];
  /** Settings of the skill with the values that they have now. */
  config: Readonly<Record<string, string>>;
  secrets: Readonly<Record<string, string>>;
  hosts: readonly NamedHost[];
  /** What is not passed on, and why, in sentences. */
  leftOut: readonly string[];
}

/** What `valuesOf` reads: a command line's arguments and variables, references filled. */
export interface Given {
  args: readonly string[];
  env: Readonly<Record<string, string>>;
  cwd: string;
  userHome: string;
  /** Texts that are known to be secret. */
  known: readonly string[];
}

const CONFIG_MAX_CHARS = 1024;
const PORTS: Readonly<Record<string, number>> = {
  'postgres:': 5432,
  'postgresql:': 5432,
  'mysql:': 3306,
  'mariadb:': 3306,
  'mongodb:': 27_017,
  'redis:': 6379,
  'rediss:': 6379,
  'amqp:': 5672,
};

/**
 * Sorts arguments and variables: folders become bindings, secrets references, addresses hosts; other variables
 * become settings of the skill, and those that steer a runtime are left out. Pure but for `look`.
 * @throws AppError `not-adoptable` for what cannot be kept apart, such as one file in the home of a user.
 */
export function valuesOf(given: Given, look: Look): Values {
  const sorting = sorter(given, look);
  const args = given.args.map((arg, at) => sorting.argument(arg, at, given.args[at - 1]));
  const env = Object.fromEntries(
    Object.entries(given.env).flatMap(([name, value]) => {
      const parts = sorting.variable(name, value);
      return parts === undefined ? [] : [[name, parts] as const];
    }),
  );
  return { args, env, ...sorting.found };
}

function sorter({ cwd, userHome, known }: Given, look: Look) {
  const folders: BoundFolder[] = [];
  const config: Record<string, string> = {};
  const secrets: Record<string, string> = {};
  const hosts: NamedHost[] = [];
  const leftOut: string[] = [];

  return { argument, variable, found: { folders, config, secrets, hosts, leftOut } };

  function argument(arg: string, at: number, before: string | undefined): Part[] {
    const [, flag = '', value = arg] = /^(--?[\w.-]+=)(.*)$/s.exec(arg) ?? [];
    const name = flag === '' ? flagName(before) : flag.replaceAll(/^-+|=$/g, '');
    if (isSecret(name, value)) {
      const secret = freeName(secrets, `ARGUMENT_${name || Object.keys(secrets).length + 1}`);
      secrets[secret] = value;
      noteHost(value);
      return [flag, { secret }];
    }
    noteHost(value);
    const from = flag === '' ? before : flag.slice(0, -1);
    const label = from !== undefined && /^--?[A-Za-z][\w.-]*$/.test(from) ? from : `argument ${at + 1}`;
    return [flag, ...pathParts(value, label, true)];
  }

  function variable(name: string, value: string): Part[] | undefined {
    if (isSteering(name) || !/^[A-Za-z_][A-Za-z0-9_]{0,63}$/.test(name)) {
      leftOut.push(`${name} is not passed on: it steers a runtime or other programs.`);
      return undefined;
    }
    noteHost(value);
    if (isSecret(name, value)) {
      secrets[name] = value;
      return [{ secret: name }];
    }
    const parts = pathParts(value, name, false);
    if (parts.some((part) => typeof part !== 'string')) return parts;
    if (value.length > CONFIG_MAX_CHARS || value.includes('\0')) {
      throw refused(`Its variable ${name} is longer than a setting may be.`, 'Shorten it, or take it out.');
    }
    const key = freeName(config, /^[A-Za-z]/.test(name) ? name : `variable${name}`);
    config[key] = value;
    return [{ config: key }];
  }

  function isSecret(name: string, value: string): boolean {
    if (known.some((text) => text !== '' && value.includes(text))) return true;
    if (value === '' || value.startsWith('-') || isPath(value)) return false;
    return (isSecretName(name) && !/^(?:true|false|\d{1,5})$/i.test(value)) || isSecretValue(value);
  }

  /** A path that leads somewhere, as its folder and what follows; any other text as it is. */
  function pathParts(value: string, from: string, isArgument: boolean): Part[] {
    if (!isPath(value)) return [literal(value)];
    const path = absolute(value);
    const what = look(path);
    if (what === 'folder') return [bind(path, from, isArgument)];
    const parent = dirname(path);
    const isKnown = what === 'file' || (parent !== '/' && look(parent) === 'folder');
    if (!isKnown) return [literal(value)];
    if (parent === userHome || parent === '/' || parent === '/tmp') {
      throw refused(
        `${from} names one file in ${parent}, and a skill is granted folders: it would get all of ${parent}.`,
        'Move the file into a folder of its own, and name it there.',
      );
    }
    return [bind(parent, from, false), `/${basename(path)}`];
  }

  function bind(path: string, from: string, mayBeWorkspace: boolean): Part {
    const before = folders.find((folder) => folder.path === path);
    if (before !== undefined) return { folder: before.root };
    const isFirst = mayBeWorkspace && !folders.some(({ root }) => root === '${workspace}');
    const root = isFirst
      ? '${workspace}'
      : `\${config.folder${folders.filter((folder) => folder.root !== '${workspace}').length + 1}}`;
    folders.push({ root, path, from });
    return { folder: root };
  }

  function noteHost(value: string): void {
    const host = hostOf(value);
    if (host === undefined) return;
    const isKnown = hosts.some((one) => one.host === host.host && one.port === host.port);
    if (!isKnown) hosts.push(host);
  }

  function isPath(value: string): boolean {
    return /^(?:\/.|~$|~\/|\.{1,2}$|\.{1,2}\/)/.test(value) && !value.includes('\0');
  }

  function absolute(value: string): string {
    const expanded = value === '~' || value.startsWith('~/') ? `${userHome}${value.slice(1)}` : value;
    const path = normalize(resolve(cwd, expanded));
    return path.length > 1 ? path.replace(/\/$/, '') : path;
  }
}

/** @throws AppError `not-adoptable`: in a manifest, `${` begins a reference. */
function literal(value: string): string {
  if (!value.includes('${')) return value;
  throw refused(
    'One of its arguments or variables holds "${", which a manifest cannot.',
    'Write the value itself.',
  );
}

function flagName(word: string | undefined): string {
  return word !== undefined && /^--?[A-Za-z]/.test(word) && !word.includes('=')
    ? word.replace(/^-+/, '')
    : '';
}

function freeName(taken: Readonly<Record<string, unknown>>, wanted: string): string {
  const base = wanted.replaceAll(/[^A-Za-z0-9_]/g, '_').slice(0, 56);
  const used = new Set(Object.keys(taken).map((name) => name.toUpperCase()));
  const name = base.startsWith('ARGUMENT_') ? base.toUpperCase() : base;
  for (let count = 1; ; count += 1) {
    const candidate = count === 1 ? name : `${name}_${count}`;
    if (!used.has(candidate.toUpperCase())) return candidate;
  }
}

/** The host that an address names; a host of this machine has to be granted by its address, which is not guessed here. */
function hostOf(value: string): NamedHost | undefined {
  if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(value) || !URL.canParse(value)) return undefined;
  const { protocol, hostname, port } = new URL(value);
  if (hostname === '' || !/^[a-z0-9.-]+$/i.test(hostname) || !/[a-z]/i.test(hostname)) return undefined;
  // A name without a dot is this machine or one nearby, which only an address can be granted for.
  if (!hostname.includes('.')) return undefined;
  if (protocol === 'https:' || protocol === 'wss:')
    return { host: hostname, port: Number(port || 443), protocol: 'tls' };
  if (protocol === 'http:' || protocol === 'ws:')
    return { host: hostname, port: Number(port || 80), protocol: 'http' };
  const usual = PORTS[protocol];
  if (usual === undefined && port === '') return undefined;
  return { host: hostname, port: Number(port || usual), protocol: 'tcp' };
}
