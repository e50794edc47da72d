import { resolve } from 'node:path';
import { adminApi, type Acceptance, type InstalledSkillView } from '../../hub/admin-api.ts';
import { writeArchive } from '../../protocol/archive.ts';
import { canonicalJson, digestOf } from '../../protocol/canonical.ts';
import { AppError, asAppError } from '../../protocol/errors.ts';
import { authorKey } from '../author-keys.ts';
import type { Context } from '../command.ts';
import { installedNow } from '../installed-name.ts';
import { Interrupted } from '../interrupted.ts';
import type { PackedSkill } from '../pack.ts';
import { publishArchive, signedIn } from '../publish.ts';
import { undoOfAcceptance } from '../reinstall.ts';
import { registryFault } from '../servers.ts';
import type { ServerEntry } from './configs.ts';
import { acceptanceOfDraft } from './draft.ts';
import type { LearnCall } from './learn.ts';
import { refused } from './launches.ts';
import { readBoundedFile } from './places.ts';
import { prepare, type PrepareParts, type Prepared, type ServerToAdopt } from './prepare.ts';
import { filledWay, inputsOf, type Surroundings, variablesIn } from './references.ts';
import { type Person, reportOf, type ServerReport } from './report.ts';

/** What became of one server of the settings. Each is by itself: the fault of one is no fault of another. */
export type Candidate =
  | { entry: ServerEntry; state: 'ready'; prepared: Prepared; report: ServerReport }
  | { entry: ServerEntry; state: 'refused'; error: AppError }
  /** Left where it is, with the reason. */
  | { entry: ServerEntry; state: 'left'; why: string };

/** A server that is a skill of the hub now. */
export interface Adopted {
  server: string;
  skill: InstalledSkillView;
  undo: string | undefined;
}

const INSTALL_TIMEOUT_MS = 5 * 60_000;
const ENV_FILE_MAX_BYTES = 256 * 1024;
const MAX_VERSIONS = 50;
/** All that is adopted, of whichever client, is the user's own. */
const NAMESPACE = 'local.adopted';

/** How the servers of one source are looked at. */
export interface LookParts extends PrepareParts {
  person: Person;
  around: Surroundings;
  /** Of the settings: relative paths begin there. */
  folder: string;
  /** Whether what a client asks its user for is a secret. */
  isSecret(input: string): boolean;
  callsOf(server: string): readonly LearnCall[];
  /** What is installed: a skill of the same name with other folders is another server. */
  installed: readonly InstalledSkillView[];
  /** Hears which server is looked at now. */
  told(server: string): void;
}

/** Makes a skill of each server that is not left out, one after the other, and says what it would be granted. */
export async function lookAtServers(
  parts: LookParts,
  servers: readonly ServerEntry[],
  except: readonly string[],
): Promise<Candidate[]> {
  const names = namesOf(servers.map(({ name }) => name));
  const candidates: Candidate[] = [];
  for (const [at, entry] of servers.entries()) {
    const why = reasonToLeave(entry, except);
    if (why !== undefined) {
      candidates.push({ entry, state: 'left', why });
      continue;
    }
    refuseIfStopped(parts);
    parts.told(entry.name);
    try {
      const server = await serverToAdopt(parts, entry, names[at] ?? entry.name);
      const prepared = besideOthers(await prepare(parts, server), parts.installed);
      candidates.push({ entry, state: 'ready', prepared, report: reportOf(parts.person, server, prepared) });
    } catch (error) {
      refuseIfStopped(parts);
      candidates.push({ entry, state: 'refused', error: asAppError(error) });
    }
  }
  return candidates;
}

/** Signs, publishes and installs a prepared server with exactly what was proposed. @throws AppError as these do. */
export async function adopt(
  context: Context,
  { prepared, entry }: Extract<Candidate, { state: 'ready' }>,
  answers: Acceptance['tools'] = {},
): Promise<Adopted> {
  const { draft, packed } = prepared;
  const before = await installedNow(context, draft.name);
  const version = await publishAdopted(context, packed);
  const offered = new Set(packed.surface.tools.map(({ name }) => name));
  const tools = Object.fromEntries(
    Object.entries(answers).filter(([tool]) => tool === '*' || offered.has(tool)),
  );
  const { installed, approval } = await context.hub(adminApi.install, {
    body: {
      name: draft.name,
      range: version,
      accept: { ...acceptanceOfDraft(draft), ...(Object.keys(tools).length === 0 ? {} : { tools }) },
    },
    timeoutMs: INSTALL_TIMEOUT_MS,
  });
  if (installed === undefined) {
    throw new AppError('approval-required', {
      detail: `${draft.name} was adopted before and would get more than it has now; that waits as ${approval?.id}.`,
      hint: `berth approve ${approval?.id}`,
      data: { id: approval?.id },
    });
  }
  return { server: entry.name, skill: installed, undo: undoOfAcceptance(before, installed) };
}

/** Publishes under the version of the server's own package; other settings make it another package of that version. */
async function publishAdopted(context: Context, packed: PackedSkill): Promise<string> {
  const registry = await context.registryAddress();
  signedIn(registry);
  const key = await authorKey(context.home);
  const { version } = packed.manifest;
  for (let count = 1; ; count += 1) {
    const tried = count === 1 ? version : `${version}-adopted.${count}`;
    const archive = count === 1 ? packed.archive : underVersion(packed, tried);
    try {
      await publishArchive({ registry }, archive, { key });
      return tried;
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'version-exists' || count === MAX_VERSIONS)
        throw registryFault(error, registry.baseUrl, context.settings);
    }
  }
}

function underVersion({ files }: PackedSkill, version: string): Buffer {
  return writeArchive(withManifest(files, { version }));
}

/**
 * The same under a free name where a skill of its name is installed for other folders or settings: two clients may call
 * different servers alike, and the one must not take the place of the other.
 */
function besideOthers(prepared: Prepared, installed: readonly InstalledSkillView[]): Prepared {
  const { workspace, config = {} } = acceptanceOfDraft(prepared.draft);
  const isTaken = (name: string): boolean => {
    const other = installed.find((skill) => skill.name === name);
    if (other === undefined) return false;
    return (
      other.workspace !== workspace ||
      Object.entries(config).some(([key, value]) => other.config[key] !== value)
    );
  };
  const { name } = prepared.draft;
  if (!isTaken(name)) return prepared;
  let count = 2;
  while (isTaken(`${name}-${count}`)) count += 1;
  const { packed, draft, notes } = prepared;
  const free = `${name}-${count}`;
  const files = withManifest(packed.files, { name: free });
  const archive = writeArchive(files);
  const note = `${name} is installed for other folders or settings, and stays.`;
  return {
    ...prepared,
    draft: { ...draft, name: free },
    packed: {
      ...packed,
      files,
      archive,
      digest: digestOf(archive),
      manifest: { ...packed.manifest, name: free },
    },
    notes: [...notes, note],
  };
}

function withManifest(files: PackedSkill['files'], change: Record<string, unknown>): PackedSkill['files'] {
  return files.map((file) => {
    if (file.path !== 'skill.json') return file;
    const manifest = JSON.parse(Buffer.from(file.bytes).toString('utf8')) as Record<string, unknown>;
    return { ...file, bytes: Buffer.from(canonicalJson({ ...manifest, ...change })) };
  });
}

async function serverToAdopt(parts: LookParts, entry: ServerEntry, slug: string): Promise<ServerToAdopt> {
  const { around, folder } = parts;
  if (entry.way.kind === 'remote') {
    throw refused(
      `It runs elsewhere, at ${entry.way.url.replace(/[?#].*$/, '')}: there is no code to put into a sandbox.`,
      'Write a remote skill for it (runtime.kind "remote"), or leave it to its client: --except NAME.',
    );
  }
  const way = filledWay(entry.way, around);
  const cwd = way.cwd === undefined ? folder : resolve(folder, way.cwd);
  const files: Record<string, string>[] = [];
  for (const path of way.envFiles)
    files.push(
      variablesIn((await readBoundedFile(resolve(folder, path), ENV_FILE_MAX_BYTES)).toString('utf8')),
    );
  return {
    title: entry.name,
    name: `${NAMESPACE}/${slug}`,
    way: { ...way, env: Object.assign({}, ...files, way.env) as Record<string, string> },
    cwd,
    known: inputsOf(entry.way)
      .filter((id) => parts.isSecret(id))
      .map((id) => around.inputs[id] ?? ''),
    calls: parts.callsOf(entry.name),
  };
}

function refuseIfStopped({ signal }: Pick<LookParts, 'signal'>): void {
  if (signal.aborted) throw new Interrupted('Nothing was adopted and nothing was changed.');
}

function reasonToLeave(entry: ServerEntry, except: readonly string[]): string | undefined {
  if (isBerth(entry)) return 'it is Berth';
  if (except.includes(entry.name)) return 'you left it out';
  return entry.disabled ? 'it is switched off in the settings' : undefined;
}

/** An entry that leads to this hub, or another one, already. */
export function isBerth({ way }: ServerEntry): boolean {
  if (way.kind === 'remote') return false;
  const words = [way.command, ...way.args];
  return way.args.includes('proxy') && words.some((word) => /(?:^|[/\\])berth(?:\.js)?$/.test(word));
}

/** Names of skills for names that clients took, each once. */
export function namesOf(titles: readonly string[]): string[] {
  const used = new Set<string>();
  return titles.map((title) => {
    const base =
      title
        .normalize('NFKD')
        .toLowerCase()
        .replaceAll(/[^a-z0-9]+/g, '-')
        .slice(0, 56)
        .replaceAll(/^-+|-+$/g, '') || 'server';
    for (let count = 1; ; count += 1) {
      const name = count === 1 ? base : `${base}-${count}`;
      if (used.has(name)) continue;
      used.add(name);
      return name;
    }
  });
}
