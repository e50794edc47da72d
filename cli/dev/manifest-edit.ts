import { applyEdits, type FormattingOptions, type JSONPath, modify } from 'jsonc-parser';
import { portsOf } from '../../protocol/permissions/declared.ts';
import { type Manifest, parseManifest } from '../../protocol/manifest.ts';
import type { Used } from './learning.ts';
import type { Wish } from './learn-event.ts';

/** Names that suggest a value which nobody else may see; as a variable it would stand in a grant as an ordinary one. */
const SECRET_NAME = /(?:^|_)(?:KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?|AUTH)(?:_|$)/i;

/**
 * The manifest with one more permission, everything else as the author wrote it.
 * @throws AppError `manifest-invalid` when what comes out would be none.
 */
export function withPermission(text: string, wish: Wish, reason: string | undefined): string {
  const manifest = parseManifest(text);
  const why = reason === undefined ? {} : { reason };
  return checked(added(text, manifest, wish, why));
}

function added(text: string, manifest: Manifest, wish: Wish, why: { reason?: string }): string {
  const { permissions } = manifest;
  switch (wish.kind) {
    case 'path': {
      const at = permissions.filesystem.findIndex(({ path }) => path === wish.path);
      if (at >= 0) return set(text, ['permissions', 'filesystem', at, 'mode'], 'rw');
      const withRoot = wish.folder === undefined ? text : withFolder(text, manifest, wish.path);
      return append(withRoot, ['permissions', 'filesystem'], { path: wish.path, mode: wish.mode, ...why });
    }
    case 'host': {
      const protocol = wish.protocol ?? 'tls';
      const entry = { host: wish.host, ports: [wish.port ?? 443], protocol, ...why };
      return append(text, ['permissions', 'network'], entry);
    }
    case 'program':
      return append(text, ['permissions', 'subprocess'], { exec: wish.name, ...why });
    case 'variable':
      return SECRET_NAME.test(wish.name)
        ? append(text, ['permissions', 'secrets'], {
            name: wish.name,
            required: false,
            inject: 'env',
            ...why,
          })
        : append(text, ['permissions', 'env'], wish.name);
  }
}

/**
 * The manifest with exactly these permissions of the kinds that can be watched. What cannot be (secrets, limits, questions
 * to the client, `background`) stays, and so do the reasons of what was there.
 * @throws AppError `manifest-invalid`.
 */
export function withExactly(text: string, used: Used): string {
  const manifest = parseManifest(text);
  const { permissions } = manifest;
  const reasonOf = <T extends { reason?: string | undefined }>(
    list: readonly T[],
    fits: (entry: T) => boolean,
  ) => {
    const reason = list.find((entry) => fits(entry) && entry.reason !== undefined)?.reason;
    return reason === undefined ? {} : { reason };
  };
  const network = byHost(used.network).map(({ host, ports, protocol }) => ({
    host,
    ports,
    protocol,
    ...reasonOf(
      permissions.network,
      (entry) => entry.host === host && ports.some((port) => portsOf(entry)?.includes(port)),
    ),
  }));
  const filesystem = used.filesystem.map(({ path, mode }) => ({
    path,
    mode,
    ...reasonOf(permissions.filesystem, (entry) => entry.path === path),
  }));
  const subprocess = used.subprocess.map((exec) => ({
    exec,
    ...reasonOf(permissions.subprocess, (entry) => entry.exec === exec),
  }));
  const withRoots = filesystem.reduce(
    (before, { path }) => withFolder(before, parseManifest(before), path),
    text,
  );
  return checked(
    Object.entries({ network, filesystem, subprocess, env: used.env }).reduce(
      (before, [key, list]) => exactly(before, key, list),
      withRoots,
    ),
  );
}

function exactly(text: string, key: string, list: readonly unknown[]): string {
  const declared = (JSON.parse(text) as { permissions?: Record<string, unknown> }).permissions?.[key];
  if (list.length > 0 && JSON.stringify(declared) === JSON.stringify(list)) return text;
  if (list.length > 0) return set(text, ['permissions', key], list);
  return declared === undefined ? text : set(text, ['permissions', key], undefined);
}

/** One entry for each host and protocol, as an author would write them. */
function byHost(network: Used['network']): { host: string; ports: number[]; protocol: string }[] {
  const entries = new Map<string, { host: string; ports: number[]; protocol: string }>();
  for (const { host, port, protocol } of network) {
    const id = `${host} ${protocol}`;
    const { ports } = entries.get(id) ?? { ports: [] };
    entries.set(id, { host, ports: [...ports, port].sort((a, b) => a - b), protocol });
  }
  return [...entries.values()];
}

/** A root that is a config value has to be one that the manifest declares. */
function withFolder(text: string, { config }: Manifest, path: string): string {
  const [, key] = /^\$\{config\.([^}]+)\}/.exec(path) ?? [];
  if (key === undefined || Object.hasOwn(config, key)) return text;
  return set(text, ['config', key], { type: 'directory', title: `The folder ${key}` });
}

function append(text: string, path: JSONPath, entry: unknown): string {
  const list = path.reduce<unknown>(
    (value, key) => (value as Record<string, unknown> | undefined)?.[String(key)],
    JSON.parse(text),
  );
  if (!Array.isArray(list)) return set(text, path, [entry]);
  return edited(text, [...path, list.length], entry, true);
}

function set(text: string, path: JSONPath, value: unknown): string {
  return edited(text, path, value, false);
}

function edited(text: string, path: JSONPath, value: unknown, isArrayInsertion: boolean): string {
  return applyEdits(text, modify(text, path, value, { formattingOptions: formatOf(text), isArrayInsertion }));
}

/** As the file is written: its indentation and its line ends. */
function formatOf(text: string): FormattingOptions {
  const [, indent = '  '] = /\n([ \t]+)\S/.exec(text) ?? [];
  return {
    insertSpaces: !indent.startsWith('\t'),
    tabSize: indent.startsWith('\t') ? 1 : indent.length,
    eol: text.includes('\r\n') ? '\r\n' : '\n',
  };
}

function checked(text: string): string {
  parseManifest(text);
  return text;
}
