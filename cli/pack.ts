import { lstat, mkdir, mkdtemp, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { SandboxDriver } from '../hub/sandbox/sandbox.ts';
import { writeArchive, type ArchiveFile } from '../protocol/archive.ts';
import { canonicalJson, digestOf, type Digest } from '../protocol/canonical.ts';
import { AppError } from '../protocol/errors.ts';
import { parseManifest, type Manifest } from '../protocol/manifest.ts';
import type { Surface } from '../protocol/surface.ts';
import { addBinary } from './binary-file.ts';
import { bundle } from './bundle.ts';
import { addFile, addTree, exists, fileOf, type PackageFiles, refuseUnlessFile } from './project-files.ts';
import { checkInstructions } from './prompt-file.ts';
import { addPython } from './python-files.ts';
import { surfaceOfPackage } from './surface-of-package.ts';
import { type RemoteAsking, surfaceOfRemote, UNATTENDED } from './surface-of-remote.ts';

/** A packed skill: the canonical archive and what is in it. */
export interface PackedSkill {
  /** Real path of the folder it was packed from. */
  project: string;
  archive: Buffer;
  digest: Digest;
  manifest: Manifest;
  surface: Surface;
  files: readonly ArchiveFile[];
}

export interface PackParts {
  driver: SandboxDriver;
  /** For a remote skill; left out: over the open internet, with nobody to sign in. */
  remote?: RemoteAsking;
}

const MANIFEST = 'skill.json';
const SURFACE = 'surface.json';
const INSTRUCTIONS = 'SKILL.md';
const COMPANIONS = [INSTRUCTIONS, 'README.md'];
const MANIFEST_MAX_BYTES = 1024 * 1024;

/**
 * Packs the skill in a folder: bundles its code, collects its files, starts it once in the sandbox (no network, no
 * grants, made-up config and secrets) or asks its remote server to record its surface, and writes the canonical archive. The same sources give
 * the same bytes. Nothing of the project runs outside the sandbox, and no install script at all.
 * @throws AppError `manifest-invalid`, `pack-failed`, `archive-…`, and what starting in the sandbox throws.
 */
export async function packSkill(
  { driver, remote = UNATTENDED }: PackParts,
  folder: string,
): Promise<PackedSkill> {
  const { project, manifest, files } = await skillFiles(driver, folder);
  const surface =
    manifest.runtime.kind === 'remote'
      ? await surfaceOfRemote({ driver }, remote, manifest)
      : await withUnpacked([...files.values()], (packageDir) =>
          surfaceOfPackage({ driver }, manifest, packageDir, [...files.keys()]),
        );
  refuseFalseDeclarations(manifest, surface);
  files.set(SURFACE, { path: SURFACE, mode: 0o644, bytes: Buffer.from(canonicalJson(surface)) });

  const all = [...files.values()];
  const archive = writeArchive(all);
  return { project, archive, digest: digestOf(archive), manifest, surface, files: all };
}

/**
 * What of a project goes into its package, its code bundled; `surface.json` alone is missing. Nothing of it is started.
 * @throws AppError `manifest-invalid`, `pack-failed`, `archive-too-large`.
 */
export async function skillFiles(
  driver: SandboxDriver,
  folder: string,
): Promise<{ project: string; manifest: Manifest; files: Map<string, ArchiveFile> }> {
  const project = await projectFolder(folder);
  const source = await readManifest(project);
  const files = await collectFiles(driver, project, source);
  return { project, manifest: parseManifest(fileOf(files, MANIFEST).bytes), files };
}

/** The real path of a project. @throws AppError `pack-failed` where there is no such folder. */
export async function projectFolder(folder: string): Promise<string> {
  try {
    return await realpath(folder);
  } catch (error) {
    throw new AppError('pack-failed', {
      detail: `There is no folder ${folder}.`,
      hint: `Make a skill with: berth init ${folder}`,
      cause: error,
    });
  }
}

interface Source {
  manifest: Manifest;
  /** As the author wrote it: what they left out stays left out. */
  written: Record<string, unknown>;
}

/** Reads and checks the manifest of a project. */
async function readManifest(project: string): Promise<Source> {
  const path = join(project, MANIFEST);
  const found = await lstat(path).catch(() => undefined);
  if (found === undefined || !found.isFile() || found.size > MANIFEST_MAX_BYTES) {
    throw new AppError('pack-failed', {
      detail:
        found === undefined
          ? `There is no ${MANIFEST} in ${project}.`
          : `${path} is not a readable manifest.`,
      hint: 'Name the folder of a skill, or make one with: berth init <dir>',
    });
  }
  const bytes = await readFile(path);
  return {
    manifest: parseManifest(bytes),
    written: JSON.parse(bytes.toString('utf8')) as Record<string, unknown>,
  };
}

async function collectFiles(
  driver: SandboxDriver,
  project: string,
  { manifest, written }: Source,
): Promise<PackageFiles> {
  const files: PackageFiles = new Map();
  for (const path of manifest.files) await addTree(files, project, path);
  for (const path of COMPANIONS) if (await exists(join(project, path))) await addFile(files, project, path);
  const instructions = files.get(INSTRUCTIONS);
  if (instructions !== undefined) await checkInstructions(instructions.bytes, manifest.name);

  const { runtime } = manifest;
  let packedManifest = written;
  if (runtime.kind === 'prompt-only') {
    fileOf(files, INSTRUCTIONS);
  } else if (runtime.kind === 'node') {
    await refuseUnlessFile(project, runtime.entry, 'runtime.entry');
    const entry = runtime.entry.replace(/\.[^./]+$/, '.mjs');
    // Last, so that it wins over a copied file of its name.
    files.set(entry, { path: entry, mode: 0o644, bytes: await bundle(project, runtime.entry) });
    packedManifest = { ...written, runtime: { ...(written['runtime'] as object), entry } };
  } else if (runtime.kind === 'python') {
    await addPython(files, project, runtime.entry, driver);
  } else if (runtime.kind === 'binary') {
    await addBinary(files, project, runtime.entry);
  }
  files.set(MANIFEST, { path: MANIFEST, mode: 0o644, bytes: Buffer.from(canonicalJson(packedManifest)) });
  return files;
}

/** Lays files out in a fresh folder for as long as the work takes. */
export async function withUnpacked<T>(
  files: readonly ArchiveFile[],
  work: (folder: string) => Promise<T>,
): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'berth-pack-'));
  try {
    const packageDir = join(folder, 'package');
    // The sandboxed account reads it; only its parent is private.
    await mkdir(packageDir, { mode: 0o755 });
    for (const { path, mode, bytes } of files) {
      await mkdir(dirname(join(packageDir, path)), { recursive: true, mode: 0o755 });
      await writeFile(join(packageDir, path), bytes, { mode });
    }
    return await work(packageDir);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/**
 * What the manifest says of tools must be true of the server: a mistyped tool would go undeclared, and a preview
 * through an argument that the tool does not know would really do it.
 */
function refuseFalseDeclarations(manifest: Manifest, surface: Surface): void {
  const offered = new Map(surface.tools.map((tool) => [tool.name, argumentsOf(tool.inputSchema)]));
  const offers =
    offered.size === 0 ? 'It offers none at all.' : `It offers: ${[...offered.keys()].join(', ')}.`;
  const faults = Object.entries(manifest.tools).flatMap(([name, { preview, idempotencyKey, compensate }]) => {
    const known = offered.get(name);
    const wrong = (path: string, what: string, remedy: string) => ({
      path: `tools.${name}${path}`,
      problem: `the server offers no ${what}`,
      remedy,
    });
    if (known === undefined) return [wrong('', `tool ${name}`, offers)];
    const named = [
      { path: '.preview.argument', argument: preview?.argument },
      { path: '.idempotencyKey', argument: idempotencyKey },
    ];
    return [
      ...named.flatMap(({ path, argument }) =>
        argument === undefined || known.includes(argument)
          ? []
          : [wrong(path, `argument ${argument} of ${name}`, `It takes: ${known.join(', ') || 'nothing'}.`)],
      ),
      ...(compensate === undefined || offered.has(compensate.tool)
        ? []
        : [wrong('.compensate.tool', `tool ${compensate.tool}`, offers)]),
    ];
  });
  if (faults.length === 0) return;
  throw new AppError('pack-failed', {
    detail: `${MANIFEST} declares what the server does not offer.`,
    hint: 'Correct the names in "tools".',
    data: { faults },
  });
}

function argumentsOf(inputSchema: Record<string, unknown>): string[] {
  const { properties } = inputSchema;
  return typeof properties === 'object' && properties !== null ? Object.keys(properties) : [];
}
