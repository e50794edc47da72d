import { statSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import type { SandboxDriver } from '../../hub/sandbox/sandbox.ts';
import { writeArchive } from '../../protocol/archive.ts';
import { canonicalJson, digestOf } from '../../protocol/canonical.ts';
import { AppError } from '../../protocol/errors.ts';
import { MODERN_ERA, parseManifest, PROTOCOL_ERAS } from '../../protocol/manifest.ts';
import { diffSurface, type Surface } from '../../protocol/surface.ts';
import { packSkill, type PackedSkill, withUnpacked } from '../pack.ts';
import { surfaceOfPackage } from '../surface-of-package.ts';
import type { LocalWay } from './configs.ts';
import { type Asks, type Draft, manifestOf, writeDraft } from './draft.ts';
import type { Learn, LearnCall, Learned } from './learn.ts';
import { type Launch, launchOf, refused } from './launches.ts';
import { narrowed, notesOn } from './narrow.ts';
import { valuesOf } from './values.ts';
import { vendor } from './vendor.ts';

/** What adopting needs of this machine. */
export interface PrepareParts {
  driver: SandboxDriver;
  learn: Learn;
  environment: Readonly<Record<string, string | undefined>>;
  userHome: string;
  signal: AbortSignal;
}

/** A server of a client's settings with every reference filled. */
export interface ServerToAdopt {
  /** As its client calls it. */
  title: string;
  /** Of the skill. */
  name: string;
  way: LocalWay;
  cwd: string;
  /** Texts in it that are known to be secret. */
  known: readonly string[];
  calls: readonly LearnCall[];
}

/** A server as a packed skill that asks for no more than was found. */
export interface Prepared {
  draft: Draft;
  packed: PackedSkill;
  learned: Learned;
  /** Worth knowing, in sentences. */
  notes: readonly string[];
}

const ALL: Asks = { sampling: true, elicitation: true, roots: true };
const NONE: Asks = { sampling: false, elicitation: false, roots: false };
/** Variables that name a place for what a program keeps. */
const PLACE_VARIABLE =
  /(?:^|_)(?:FILE|PATH|DIR|DIRECTORY|FOLDER|DB|DATABASE|STORE|STORAGE|HOME)(?:_PATH|_FILE|_DIR)?$/;
const MAX_PLACES = 4;

/**
 * Makes a skill of a server: copies its code, turns what its settings say into bindings, packs it (which starts it once
 * with nothing granted), runs its tools to learn, and narrows the manifest to what that showed. Nothing leaves this
 * function but the archive; nothing of the server runs outside the sandbox.
 * @throws AppError `not-adoptable`, `pack-failed` and what the sandbox throws.
 */
export async function prepare(parts: PrepareParts, server: ServerToAdopt): Promise<Prepared> {
  const { way, cwd } = server;
  const launch = launchOf(way.command, way.args);
  const folder = await mkdtemp(join(tmpdir(), 'berth-adopt-'));
  try {
    const values = valuesOf(
      { args: launch.args, env: way.env, cwd, userHome: parts.userHome, known: server.known },
      lookAt,
    );
    const vendored = await vendor({ ...parts, cwd }, launch, folder);
    const { name, title } = server;
    const first: Draft = {
      ...{ name, title, version: vendored.version, vendored, values },
      protocol: PROTOCOL_ERAS.find((era) => era !== MODERN_ERA) ?? MODERN_ERA,
      asks: ALL,
      modes: {},
      kept: {},
      hosts: [],
      programs: [],
      variables: [],
    };
    const spoken = await packInItsEra(parts, first, folder).catch((error: unknown) => {
      throw vendored.kind === 'python' ? asPythonRefusal(error) : error;
    });
    const asks = await asksOf(parts, spoken.packed);
    const tried = await learnAndKeep(parts, server, { ...spoken, draft: { ...spoken.draft, asks } }, folder);
    const draft = narrowed(tried.draft, tried.learned, tried.packed);
    return {
      draft,
      packed: underManifest(tried.packed, draft),
      learned: tried.learned,
      notes: [
        ...values.leftOut,
        ...droppedFlags(launch),
        ...leftFolder(way),
        ...vendored.notes,
        ...tried.notes,
        ...notesOn(tried.draft, tried.learned, tried.packed),
      ],
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function pack({ driver }: PrepareParts, draft: Draft, folder: string): Promise<PackedSkill> {
  await writeDraft(draft, folder);
  return packSkill({ driver }, folder);
}

/**
 * The same package with the manifest of a draft. Its surface stays the recorded one: `asksOf` has seen that it is the
 * same with what is asked now, and the hub compares it again before anything is approved.
 * @throws AppError `manifest-invalid`.
 */
function underManifest(packed: PackedSkill, draft: Draft): PackedSkill {
  const { runtime, ...others } = manifestOf(draft) as { runtime: object };
  const { entry } = packed.manifest.runtime as { entry: string };
  const bytes = Buffer.from(canonicalJson({ ...others, runtime: { ...runtime, entry } }));
  const files = packed.files.map((file) => (file.path === 'skill.json' ? { ...file, bytes } : file));
  const archive = writeArchive(files);
  return { ...packed, files, archive, digest: digestOf(archive), manifest: parseManifest(bytes) };
}

/** A manifest names the one era that the server speaks; which that is, the server itself says. */
async function packInItsEra(
  parts: PrepareParts,
  draft: Draft,
  folder: string,
): Promise<{ draft: Draft; packed: PackedSkill }> {
  try {
    return { draft, packed: await pack(parts, draft, folder) };
  } catch (error) {
    const spoken = error instanceof AppError ? error.data?.['spoken'] : undefined;
    if (typeof spoken !== 'string' || draft.protocol === MODERN_ERA) throw error;
    // A server of today's era answers the older opening with an error of its own.
    const era = PROTOCOL_ERAS.find((one) => one === spoken) ?? MODERN_ERA;
    const again = { ...draft, protocol: era };
    return { draft: again, packed: await pack(parts, again, folder) };
  }
}

/** Which of the things that a client can be asked change what the server offers: only those it is granted. */
async function asksOf({ driver }: PrepareParts, packed: PackedSkill): Promise<Asks> {
  const withAsks = (asks: Asks): Promise<Surface> =>
    withUnpacked(packed.files, (packageDir) => {
      const permissions = { ...packed.manifest.permissions, mcp: asks };
      const files = packed.files.map(({ path }) => path);
      return surfaceOfPackage({ driver }, { ...packed.manifest, permissions }, packageDir, files);
    });
  const isSame = async (asks: Asks): Promise<boolean> =>
    diffSurface(packed.surface, await withAsks(asks)).length === 0;
  if (await isSame(NONE)) return NONE;
  const needed = { ...ALL };
  for (const one of ['sampling', 'elicitation', 'roots'] as const) {
    if (await isSame({ ...needed, [one]: false })) needed[one] = false;
  }
  return needed;
}

/**
 * Runs the tools. A server that writes beside its own code cannot do so in a package; where its code reads a variable
 * that names a place, and with that set to its data folder the refusal is gone, that is kept.
 */
async function learnAndKeep(
  parts: PrepareParts,
  server: ServerToAdopt,
  { draft, packed }: { draft: Draft; packed: PackedSkill },
  folder: string,
): Promise<{ draft: Draft; packed: PackedSkill; learned: Learned; notes: string[] }> {
  const learned = await learnFrom(parts, server, packed);
  const own = ownWrites(learned);
  const [path] = own;
  if (path === undefined) return { draft, packed, learned, notes: [] };
  const places = draft.vendored.reads.filter(
    (name) => PLACE_VARIABLE.test(name) && !Object.hasOwn(draft.values.env, name),
  );
  for (const name of places.slice(0, MAX_PLACES)) {
    const value = /DIR|FOLDER|HOME/.test(name) ? '/data' : `/data/${keptName(path)}`;
    const next = { ...draft, kept: { [name]: value } };
    const tried = await pack(parts, next, folder);
    const again = await learnFrom(parts, server, tried);
    if (ownWrites(again).length >= own.length) continue;
    const note = `It kept ${keptName(path)} beside its own code; from now on it is kept in its data folder, which begins empty (through its variable ${name}).`;
    return { draft: next, packed: tried, learned: again, notes: [note] };
  }
  const note = `It writes ${keptName(path)} beside its own code, which nobody may change in a package: what needs that will fail.`;
  return { draft, packed, learned, notes: [note] };
}

function learnFrom({ learn }: PrepareParts, { calls }: ServerToAdopt, packed: PackedSkill): Promise<Learned> {
  const { manifest, surface } = packed;
  return withUnpacked(packed.files, (packageDir) => learn({ packageDir, manifest, surface, calls }));
}

/** Writes that were refused in the package itself. */
function ownWrites({ paths }: Learned): string[] {
  return paths.flatMap(({ path, mode }) => (mode === 'rw' && path.startsWith('/skill/') ? [path] : []));
}

/** The name of a file that was about to be written, perhaps under a passing name that ends in random letters. */
function keptName(path: string): string {
  return basename(path).replace(/(?:\.(?:[0-9a-f]{8,}|\d+|tmp|temp|part|partial|lock|bak))+$/i, '');
}

/** What is most often missing is a package that the script finds where it was installed, and not here. */
function asPythonRefusal(error: unknown): unknown {
  if (!(error instanceof AppError) || !['pack-failed', 'skill-start-failed'].includes(error.code))
    return error;
  return refused(
    `With the Python modules of its folder alone it does not run: ${error.message}`,
    'Where it imports packages, put their wheels into wheels/ beside the script, with their digests in requirements.lock.',
    error,
  );
}

function droppedFlags(launch: Launch): string[] {
  if ((launch.kind !== 'node' && launch.kind !== 'python') || launch.dropped.length === 0) return [];
  const runtime = launch.kind === 'node' ? 'Node' : 'Python';
  return [
    `${runtime} runs it without ${launch.dropped.join(' ')}: the sandbox has limits and a log of its own.`,
  ];
}

function leftFolder({ cwd }: LocalWay): string[] {
  return cwd === undefined ? [] : [`It was started in ${cwd}; in the sandbox it starts in its own package.`];
}

function lookAt(path: string): 'folder' | 'file' | 'nothing' {
  const found = statSync(path, { throwIfNoEntry: false });
  return found === undefined ? 'nothing' : found.isDirectory() ? 'folder' : 'file';
}
