import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Acceptance } from '../../hub/admin-api.ts';
import { refused } from './launches.ts';
import { configKey, nodeSettings, pythonEntry } from './settings-code.ts';
import type { NamedHost, Part, Values } from './values.ts';
import type { Vendored } from './vendor.ts';

/** What the client can be asked in the middle of a call. */
export interface Asks {
  sampling: boolean;
  elicitation: boolean;
  roots: boolean;
}

/** What has been found out about a server so far; the manifest follows from it. */
export interface Draft {
  name: string;
  title: string;
  version: string;
  protocol: string;
  vendored: Vendored;
  values: Values;
  asks: Asks;
  /** Per root of a named folder. */
  modes: Readonly<Record<string, 'r' | 'rw'>>;
  /** Variables that point what it keeps into its own data folder: name and path. */
  kept: Readonly<Record<string, string>>;
  /** Hosts, programs and variables that it was seen to want beside those that its arguments name. */
  hosts: readonly NamedHost[];
  programs: readonly string[];
  variables: readonly string[];
}

const PLACEHOLDER = 'secret';

/** The manifest as `skill.json` holds it: it asks for what is known and nothing else. */
export function manifestOf(draft: Draft): Record<string, unknown> {
  const { vendored, values } = draft;
  const folders = values.folders.filter(({ root }) => root !== '${workspace}');
  const settings = Object.entries(values.config).map(([key, value]) => [
    key,
    {
      type: 'string',
      title: `Variable ${variableOf(values, key)}`.slice(0, 100),
      ...(isHarmless(value) ? { default: value } : {}),
    },
  ]);
  return {
    name: draft.name,
    version: draft.version,
    title: line(draft.title, 'Adopted server'),
    description: line(vendored.description ?? '', `Adopted from ${vendored.source.replace(/ \(.*$/, '')}`),
    license: licenseOf(vendored.license),
    runtime: {
      kind: vendored.kind,
      entry: vendored.kind === 'node' ? 'server/index.js' : vendored.program,
      args: values.args.map((parts) => parts.map(inManifest).join('')),
      protocol: draft.protocol,
    },
    files: vendored.files,
    ...(folders.length + settings.length === 0
      ? {}
      : {
          config: Object.fromEntries([
            ...settings,
            ...folders.map(({ root, from }) => [
              configKey(root),
              { type: 'directory', title: line(`Folder of ${from}`, 'A folder') },
            ]),
          ]),
        }),
    permissions: {
      ...listed('filesystem', [
        ...values.folders.map(({ root, from }) => ({
          path: root,
          mode: draft.modes[root] ?? 'rw',
          reason: line(`named in its settings (${from})`, 'named in its settings'),
        })),
        ...(Object.keys(draft.kept).length === 0
          ? []
          : [{ path: '${data}', mode: 'rw', reason: 'it keeps what it knows there' }]),
      ]),
      ...listed(
        'network',
        [...values.hosts, ...draft.hosts].map(({ host, port, protocol }) => ({
          host,
          ports: [port],
          protocol,
        })),
      ),
      ...listed(
        'secrets',
        [...Object.keys(values.secrets), ...(vendored.kind === 'binary' ? plainNames(values) : [])].map(
          (name) => ({ name, required: true }),
        ),
      ),
      ...listed('env', draft.variables),
      ...listed(
        'subprocess',
        draft.programs.map((exec) => ({ exec })),
      ),
      ...(Object.values(draft.asks).includes(true) ? { mcp: draft.asks } : {}),
    },
  };
}

/** Writes the manifest and, for Node and Python, the entry that gives the program what it had before. */
export async function writeDraft(draft: Draft, folder: string): Promise<void> {
  await writeFile(join(folder, 'skill.json'), `${JSON.stringify(manifestOf(draft), undefined, 2)}\n`);
  if (draft.vendored.kind === 'binary') return refuseForBinary(draft);
  await mkdir(join(folder, 'server'), { recursive: true });
  if (draft.vendored.kind === 'python')
    return writeFile(join(folder, draft.vendored.program), pythonEntry(draft));
  await writeFile(join(folder, 'server', 'settings.js'), nodeSettings(draft));
  // In this order: what the program reads at its start is set by then.
  await writeFile(join(folder, 'server', 'index.js'), `import './settings.js';\nimport './program.js';\n`);
}

/** What is said at the install: the folders, settings and secrets that the client's settings had. */
export function acceptanceOfDraft({ values, vendored }: Draft): Acceptance {
  const workspace = values.folders.find(({ root }) => root === '${workspace}')?.path;
  const config = Object.fromEntries([
    ...values.folders
      .filter(({ root }) => root !== '${workspace}')
      .map(({ root, path }) => [configKey(root), path]),
    ...Object.entries(values.config),
  ]);
  const secrets = {
    ...values.secrets,
    ...(vendored.kind === 'binary'
      ? Object.fromEntries(plainNames(values).map((name) => [name, plainValue(values, name)]))
      : {}),
  };
  return {
    ...(workspace === undefined ? {} : { workspace }),
    ...(Object.keys(config).length === 0 ? {} : { config }),
    ...(Object.keys(secrets).length === 0 ? {} : { secrets }),
  };
}

function inManifest(part: Part): string {
  if (typeof part === 'string') return part;
  if ('folder' in part) return part.folder;
  return 'config' in part ? `\${config.${part.config}}` : PLACEHOLDER;
}

/** A binary gets its variables from the sandbox alone, and that has values for secrets only. */
function refuseForBinary({ values }: Draft): void {
  const secretArgument = values.args.some((parts) =>
    parts.some((part) => typeof part === 'object' && 'secret' in part),
  );
  const folder = Object.entries(values.env).find(([, parts]) =>
    parts.some((part) => typeof part === 'object' && 'folder' in part),
  );
  if (!secretArgument && folder === undefined) return;
  throw refused(
    secretArgument
      ? 'It is a binary that is given a secret as an argument, where others on the machine can see it.'
      : `It is a binary that finds a folder by its variable ${folder?.[0]}, which has another path in the sandbox.`,
    'Give it the secret in a variable, and the folder as an argument.',
  );
}

function plainNames(values: Values): string[] {
  return Object.entries(values.env).flatMap(([name, parts]) =>
    parts.some((part) => typeof part === 'object' && 'config' in part) ? [name] : [],
  );
}

function plainValue(values: Values, name: string): string {
  const [part] = values.env[name] ?? [];
  return typeof part === 'object' && 'config' in part ? (values.config[part.config] ?? '') : '';
}

function variableOf(values: Values, key: string): string {
  const found = Object.entries(values.env).find(([, parts]) =>
    parts.some((part) => typeof part === 'object' && 'config' in part && part.config === key),
  );
  return found?.[0] ?? key;
}

function listed(name: string, entries: readonly unknown[]): Record<string, unknown> {
  return entries.length === 0 ? {} : { [name]: entries };
}

/** Whether a value may stand in a package that others may read: what could be a password in disguise may not. */
function isHarmless(value: string): boolean {
  return (
    /^(?:true|false|\d{1,5}|[a-z]{1,16}(?:[-_][a-z]{1,16})?)$/i.test(value) ||
    (/^https?:\/\/[a-z0-9.-]+(?::\d+)?\/?$/i.test(value) && URL.canParse(value))
  );
}

/** One visible line of up to 100 characters, as manifests have them. */
function line(text: string, otherwise: string): string {
  const clean = (raw: string): string =>
    raw
      .replaceAll(/[^ -~\u00a1-\u02ff\u0370-\u05ff\u3040-\u9fff]/g, ' ')
      .replaceAll(/\s+/g, ' ')
      .trim()
      .slice(0, 100)
      .trim();
  return clean(text) || clean(otherwise);
}

function licenseOf(license: string | undefined): string {
  return license !== undefined && /^[A-Za-z0-9][A-Za-z0-9 .()+:-]{0,99}$/.test(license)
    ? license
    : 'LicenseRef-unknown';
}
