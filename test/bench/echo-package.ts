import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { withUnpacked } from '../../cli/pack.ts';
import { type ArchiveFile, readArchive } from '../../protocol/archive.ts';
import type { SandboxPlan } from '../../hub/sandbox/sandbox.ts';
import type { BenchHub } from './bench-hub.ts';

/** The echo skill as packed, laid out in a folder. */
export interface EchoPackage {
  folder: string;
  /** The bundled server, relative to the folder. */
  entry: string;
}

/** Packs the echo skill as an author would and lays the package out for as long as the work takes. */
export async function withEchoPackage(
  hub: BenchHub,
  work: (echo: EchoPackage) => Promise<void>,
): Promise<void> {
  const archive = join(hub.home, 'echo.tgz');
  hub.cli('pack', hub.echo, '-o', archive);
  await withArchive(await readFile(archive), work);
}

/** Lays a package out for as long as the work takes. */
export async function withArchive(
  archive: Uint8Array,
  work: (echo: EchoPackage) => Promise<void>,
): Promise<void> {
  const files: ArchiveFile[] = [];
  for await (const file of readArchive(oneChunk(archive))) files.push(file);
  await withUnpacked(files, async (folder) => {
    const manifest = JSON.parse(await readFile(join(folder, 'skill.json'), 'utf8')) as {
      runtime: { entry: string };
    };
    await work({ folder, entry: manifest.runtime.entry });
  });
}

/** A start of it in the sandbox, with nothing granted. */
export function planOf(echo: EchoPackage): SandboxPlan {
  return {
    label: 'bench',
    packageDir: echo.folder,
    runtime: { kind: 'node', entry: echo.entry, args: [] },
    mounts: [],
    scratch: [],
    env: {},
    programs: [],
    network: [],
    limits: { memoryMb: 256, cpus: 1, pids: 32, diskMb: 64 },
  };
}

async function* oneChunk(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
