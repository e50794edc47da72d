import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { withUnpacked } from '../../cli/pack.ts';
import { type ArchiveFile, readArchive } from '../../protocol/archive.ts';
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
  const files: ArchiveFile[] = [];
  for await (const file of readArchive(oneChunk(await readFile(archive)))) files.push(file);
  await withUnpacked(files, async (folder) => {
    const manifest = JSON.parse(await readFile(join(folder, 'skill.json'), 'utf8')) as {
      runtime: { entry: string };
    };
    await work({ folder, entry: manifest.runtime.entry });
  });
}

async function* oneChunk(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
