import { bindPaths, describe, normalise } from '../../protocol/permissions.ts';
import type { ServerToAdopt } from './prepare.ts';
import { acceptanceOfDraft } from './draft.ts';
import { launchOf } from './launches.ts';
import type { Prepared } from './prepare.ts';

/** What is said of one server before anybody decides, in sentences. */
export interface ServerReport {
  server: string;
  skill: string;
  version: string;
  source: string;
  /** What it could reach before. */
  before: string[];
  /** What it used, and how that is known. */
  used: string[];
  /** The grant that is proposed. */
  can: string[];
  cannot: string[];
  notes: readonly string[];
  /** All of it in one line that ends with the question. */
  summary: string;
}

/** Whom the server ran as. */
export interface Person {
  userHome: string;
  isRoot: boolean;
}

/** Of refused paths; a search may try hundreds. */
const MAX_PATHS = 8;

/** Compares what a server could do with what it is to be granted. Pure. */
export function reportOf(person: Person, server: ServerToAdopt, prepared: Prepared): ServerReport {
  const { draft, packed, learned, notes } = prepared;
  const permissions = normalise(packed.manifest.permissions);
  const bound = acceptanceOfDraft(draft);
  const named = (sentence: string): string =>
    sentence
      .replaceAll('${workspace}', bound.workspace ?? 'the folder you choose for it')
      .replaceAll('${data}', 'its own data folder')
      .replaceAll(/\$\{config\.([^}]*)\}/g, (whole, key: string) => String(bound.config?.[key] ?? whole));
  const { can, cannot } = describe(permissions);
  const all = person.isRoot ? 'everything on this machine' : `all of ${person.userHome}`;
  const folders = bindPaths(permissions, {
    workspace: bound.workspace ?? '/workspace',
    data: '/data',
    config: bound.config ?? {},
  }).filter(({ source }) => source !== '/data').length;
  const seen = learned.how === 'observed' ? 'used' : 'its settings and its tools name';
  return {
    server: server.title,
    skill: draft.name,
    version: packed.manifest.version,
    source: draft.vendored.source,
    before: beforeOf(person, server),
    used: usedOf(prepared),
    can: can.map(named),
    cannot,
    notes,
    summary: `${server.title} could read and change ${all}; ${seen} ${counted(folders, 'folder')} and ${counted(permissions.network.length, 'host')}. Lock it to that?`,
  };
}

function beforeOf({ userHome, isRoot }: Person, { way }: ServerToAdopt): string[] {
  const names = Object.keys(way.env);
  const launch = launchOf(way.command, way.args);
  const pinned = launch.kind !== 'npm' || /.@\d+\.\d+\.\d+[\w.-]*$/.test(launch.spec);
  return [
    isRoot
      ? 'It ran as root, outside of any sandbox: it could read and change everything on this machine.'
      : `It ran as you, outside of any sandbox: it could read and change all of ${userHome}, keys and passwords too.`,
    'It could reach every host, also those of your own network and the servers on this machine.',
    'It could start any program, and go on between calls.',
    names.length === 0
      ? 'It saw whatever variables its client passes on.'
      : `It saw ${names.join(', ')} from its settings, and whatever variables its client passes on.`,
    ...(pinned ? [] : ['Each start ran whichever version was the newest; nobody looked at it first.']),
  ];
}

function usedOf({ draft: { values, hosts, programs }, learned }: Prepared): string[] {
  const { called, answered, how } = learned;
  const known = [...values.hosts, ...hosts].map(({ host, port }) => `${host}:${port}`);
  return [
    how === 'observed'
      ? `It was watched while ${counted(called.length, 'tool')} ran, with nothing granted; ${answered.length} of them answered.`
      : `With nothing granted, ${answered.length} of ${counted(called.length, 'tool')} answered; what the others lacked is read from their errors, not watched.`,
    values.folders.length === 0
      ? 'Its settings name no folder.'
      : `Its settings name ${values.folders.map(({ path }) => path).join(', ')}.`,
    known.length === 0 ? 'It named no host.' : `It named the hosts ${known.join(', ')}.`,
    ...(learned.paths.length === 0
      ? []
      : [
          `It was refused ${learned.paths
            .slice(0, MAX_PATHS)
            .map(({ path }) => path)
            .join(', ')}.`,
        ]),
    ...(programs.length === 0 ? [] : [`It looked for the programs ${programs.join(', ')}.`]),
  ];
}

/** `no folder`, `one folder`, `2 folders`. */
function counted(number: number, noun: string): string {
  return number === 0 ? `no ${noun}` : number === 1 ? `one ${noun}` : `${number} ${noun}s`;
}
