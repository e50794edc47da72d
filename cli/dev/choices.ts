import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { AppError } from '../../protocol/errors.ts';
import type { Manifest } from '../../protocol/manifest.ts';
import {
  type Bindings,
  fillHosts,
  hostCovers,
  insideValues,
  type NetworkPermission,
  normalise,
  type Permissions,
  readAllowedHost as readHostAndAddress,
  union,
} from '../../protocol/permissions.ts';
import type { Ground } from './ground.ts';
import { usualProtocol, type Wish } from './learn-event.ts';

/** What an author opens for one session, beside what the manifest asks; it ends with the session. */
export interface Choices {
  /** The folder that `${workspace}` stands for. */
  workspace: string | undefined;
  /** Config values; a folder for each key of type `directory`. */
  config: Readonly<Record<string, string | number | boolean>>;
  /** Keys of `config` that stand for folders. */
  folders: readonly string[];
  /** Whether what the roots stand for is open as a whole, so that it shows what of it is needed. */
  record: boolean;
  /** Whether hosts and programs are opened as soon as they are asked for. */
  allowSeen: boolean;
  network: Permissions['network'];
  programs: readonly string[];
  variables: readonly string[];
}

const PROTOCOLS = ['tls', 'http', 'tcp'] as const;

/**
 * Reads `name[:port][/protocol][=address]`: the address is where the host is in this session, and is no matter of the
 * manifest. @throws AppError `usage-invalid`.
 */
export function readAllowedHost(text: string): Permissions['network'][number] {
  const [, place = '', said, where = ''] = /^([^=/]+)(?:\/([a-z]+))?(=.*)?$/.exec(text) ?? [];
  const reading = readHostAndAddress(`${place}${where}`);
  const { host, port = 443, address } = reading.ok ? reading.value : { host: '' };
  const protocol = said === undefined ? usualProtocol(port) : PROTOCOLS.find((one) => one === said);
  if (reading.ok && protocol !== undefined) {
    try {
      const [read] = normalise({ network: [{ host, ports: [port], protocol }] }).network;
      if (read !== undefined) return { ...read, ...(address === undefined ? {} : { address }) };
    } catch {
      // It is answered below, in the words of the command line.
    }
  }
  throw new AppError('usage-invalid', {
    detail: `${text} is not a host that a manifest could name.`,
    hint: 'Give --allow-host NAME, NAME:PORT or NAME:PORT/tls, such as api.example.com:443/tls; =ADDRESS after that says where it is.',
  });
}

/** Reads `KEY=DIR`. @throws AppError `usage-invalid`. */
export function readFolder(text: string, workingDirectory: string): [key: string, folder: string] {
  const at = text.indexOf('=');
  const key = text.slice(0, Math.max(at, 0));
  const folder = resolve(workingDirectory, text.slice(at + 1));
  if (/^[A-Za-z][A-Za-z0-9_]{0,63}$/.test(key) && isFolder(folder)) return [key, folder];
  throw new AppError('usage-invalid', {
    detail: `${text} names no config value with a folder that is there.`,
    hint: 'Give --folder KEY=DIR, such as --folder notes=/home/me/notes.',
  });
}

/** A value for a config field, in its type. @throws AppError `usage-invalid`. */
export function readSetting(
  text: string,
  { config }: Pick<Manifest, 'config'>,
): [key: string, value: string | number | boolean] {
  const at = text.indexOf('=');
  const key = text.slice(0, Math.max(at, 0));
  const value = text.slice(at + 1);
  const field = Object.hasOwn(config, key) ? config[key] : undefined;
  if (field?.type === 'string') return [key, value];
  if (field?.type === 'boolean' && (value === 'true' || value === 'false')) return [key, value === 'true'];
  if (field?.type === 'number' && value.trim() !== '' && Number.isFinite(Number(value)))
    return [key, Number(value)];
  throw new AppError('usage-invalid', {
    detail:
      field === undefined
        ? `The manifest has no config value ${key}.`
        : field.type === 'directory'
          ? `${key} is a folder.`
          : `${key} is a ${field.type}.`,
    hint: field?.type === 'directory' ? `Give --folder ${key}=DIR.` : 'Give --set KEY=VALUE.',
  });
}

/** What a run grants: what the manifest asks, and what the author opened. */
export function grantedIn(manifest: Manifest, choices: Choices): Permissions {
  const { record, workspace, folders } = choices;
  const open = [
    ...(workspace === undefined ? [] : ['${workspace}']),
    '${data}',
    ...folders.map((key) => `\${config.${key}}`),
  ];
  const chosen = normalise({
    filesystem: record ? open.map((path) => ({ path, mode: 'rw' as const })) : [],
    subprocess: choices.programs.map((exec) => ({ exec })),
    env: [...choices.variables],
  });
  const asked = fillHosts(normalise(manifest.permissions), configOf(manifest, choices));
  // The author's address for a host is the one that counts.
  const network = asked.network.filter(
    ({ host, port }) =>
      !choices.network.some((one) => one.address !== undefined && one.host === host && one.port === port),
  );
  return union({ ...asked, network }, { ...chosen, network: choices.network });
}

/** A host that is granted as the manifest asks for it, where that is by a config value. */
export function hostAsAsked(
  manifest: Manifest,
  choices: Choices,
  held: NetworkPermission,
): NetworkPermission {
  const asked = normalise(manifest.permissions);
  const config = configOf(manifest, choices);
  const entry = asked.network.find(({ host, ...rest }) =>
    fillHosts({ ...asked, network: [{ host, ...rest }] }, config).network.some(
      (one) => one.host !== host && one.port === held.port && hostCovers(one.host, held.host),
    ),
  );
  return entry ?? held;
}

function configOf(manifest: Manifest, choices: Choices): Record<string, string | number | boolean> {
  const defaults = Object.entries(manifest.config).flatMap(([key, { default: value }]) =>
    value === undefined ? [] : [[key, value] as const],
  );
  return { ...Object.fromEntries(defaults), ...choices.config };
}

/** The folders and values that stand behind the manifest's words. */
export function bindingsOf(manifest: Manifest, choices: Choices, data: string): Bindings {
  return { workspace: choices.workspace, data, config: configOf(manifest, choices) };
}

/** Each root with its place inside and its place on the host. */
export function rootsOf(
  granted: Permissions,
  bindings: Bindings,
  folders: readonly string[],
): Ground['roots'] {
  const inside = insideValues(granted, bindings.config);
  const isGranted = (key: string) =>
    granted.filesystem.some(({ path }) => path.startsWith(`\${config.${key}}`));
  return [
    { reference: '${workspace}', inside: inside.workspace, folder: bindings.workspace },
    { reference: '${data}', inside: inside.data, folder: bindings.data },
    ...folders.filter(isGranted).map((key) => ({
      reference: `\${config.${key}}`,
      inside: String(inside.config[key]),
      folder: String(bindings.config[key]),
    })),
  ];
}

/** The choices with one thing more. A wish for a host without a port opens nothing yet. */
export function withChoice(choices: Choices, wish: Wish): Choices {
  switch (wish.kind) {
    case 'program':
      return { ...choices, programs: [...choices.programs, wish.name] };
    case 'variable':
      return { ...choices, variables: [...choices.variables, wish.name] };
    case 'host': {
      const { host, port, protocol } = wish;
      if (port === undefined || protocol === undefined) return choices;
      return { ...choices, network: [...choices.network, { host, port, protocol }] };
    }
    case 'path':
      return wish.folder === undefined ? choices : withFolderChoice(choices, wish.path, wish.folder);
  }
}

/** A config value that stands for a folder. */
export function withFolderChoice(choices: Choices, path: string, folder: string): Choices {
  const key = path.slice('${config.'.length, -1);
  return { ...choices, config: { ...choices.config, [key]: folder }, folders: [...choices.folders, key] };
}

/** A config value that stands for another folder keeps its name. */
export function withFreeKey(wish: Wish, { config }: Choices): Wish {
  if (wish.kind !== 'path' || wish.folder === undefined) return wish;
  const key = wish.path.slice('${config.'.length, -1);
  const taken = (name: string) => Object.hasOwn(config, name) && config[name] !== wish.folder;
  let free = key;
  for (let number = 2; taken(free); number += 1) free = `${key}_${number}`;
  return { ...wish, path: `\${config.${free}}` };
}

/** @throws AppError `usage-invalid` naming the flag for a folder that is granted and that nothing stands for. */
export function refuseMissingFolders(manifest: Manifest, choices: Choices): void {
  const missing = grantedIn(manifest, choices)
    .filesystem.map(({ path }) => path.slice(0, path.indexOf('}') + 1))
    .find(
      (root) =>
        (root === '${workspace}' && choices.workspace === undefined) ||
        (root.startsWith('${config.') && !choices.folders.includes(root.slice('${config.'.length, -1))),
    );
  if (missing === undefined) return;
  throw new AppError('usage-invalid', {
    detail: `The manifest names ${missing}, and no folder stands for it.`,
    hint:
      missing === '${workspace}'
        ? 'Give --workspace DIR.'
        : `Give --folder ${missing.slice('${config.'.length, -1)}=DIR.`,
  });
}

export function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}
