import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import {
  access,
  constants,
  mkdir,
  open,
  readdir,
  rename,
  stat,
  unlink,
  type FileHandle,
} from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isDigest, type Digest } from '../../protocol/canonical.ts';
import { AppError } from '../../protocol/errors.ts';
import { syncFolder } from '../../protocol/node/durable.ts';
import { blobPaths } from '../paths.ts';
import type { Blobs, ByteRange } from './blobs.ts';

/** Blobs as files: written aside on the same file system, synced, then renamed into place. */
export async function fsBlobs(root: string): Promise<Blobs> {
  const paths = blobPaths(root);
  for (const folder of [paths.incoming, paths.published])
    await mkdir(folder, { recursive: true, mode: 0o700 });
  await syncFolder(root);

  return {
    async put(digest, chunks, { maxBytes }) {
      const incoming = join(paths.incoming, randomUUID());
      try {
        const { size, actual } = await writeDurably(incoming, chunks, maxBytes);
        if (actual !== digest) throw mismatch(digest, actual);
        await makeFolder(paths.folderOf(digest));
        await rename(incoming, paths.fileOf(digest));
        await syncFolder(paths.folderOf(digest));
        return { size };
      } catch (error) {
        await unlinkIfThere(incoming);
        throw error;
      }
    },
    async find(digest) {
      const found = await statIfThere(paths.fileOf(digest));
      return found === undefined ? undefined : { size: found.size };
    },
    read: (digest, range) => readFrom(paths.fileOf(digest), digest, range),
    async sweep({ before, isNeeded }) {
      const leftovers = (await readdir(paths.incoming)).map((name) => join(paths.incoming, name));
      const orphans = await orphansIn(paths.published, before, isNeeded);
      for (const path of [...leftovers, ...orphans]) await unlinkIfThere(path);
      return { removed: leftovers.length + orphans.length };
    },
    async check() {
      await access(paths.incoming, constants.W_OK);
      await access(paths.published, constants.R_OK | constants.W_OK);
    },
  };
}

async function writeDurably(
  path: string,
  chunks: AsyncIterable<Uint8Array>,
  maxBytes: number,
): Promise<{ size: number; actual: Digest }> {
  const hash = createHash('sha256');
  const file = await open(path, 'wx', 0o600);
  try {
    let size = 0;
    for await (const chunk of chunks) {
      size += chunk.length;
      if (size > maxBytes)
        throw new AppError('request-too-large', { detail: `An archive has at most ${maxBytes} bytes.` });
      hash.update(chunk);
      await writeAll(file, chunk);
    }
    await file.sync();
    return { size, actual: `sha256:${hash.digest('hex')}` };
  } finally {
    await file.close();
  }
}

async function writeAll(file: FileHandle, chunk: Uint8Array): Promise<void> {
  for (let written = 0; written < chunk.length;) {
    written += (await file.write(chunk, written, chunk.length - written)).bytesWritten;
  }
}

function mismatch(announced: Digest, actual: Digest): AppError {
  return new AppError('digest-mismatch', {
    detail: `The bytes that arrived have the digest ${actual}, not ${announced}; nothing was kept.`,
    hint: 'Send the archive again.',
  });
}

async function makeFolder(path: string): Promise<void> {
  const made = await mkdir(path, { recursive: true, mode: 0o700 });
  if (made !== undefined) await syncFolder(dirname(path));
}

async function* readFrom(
  path: string,
  digest: Digest,
  range: ByteRange | undefined,
): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    yield* createReadStream(path, range) as AsyncIterable<Buffer>;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    throw new AppError('blob-not-found', { detail: `There is no blob ${digest}.`, cause: error });
  }
}

async function orphansIn(
  folder: string,
  before: Date,
  isNeeded: (digest: Digest) => Promise<boolean>,
): Promise<string[]> {
  const orphans: string[] = [];
  for (const name of await readdir(folder, { recursive: true })) {
    const digest = `sha256:${name.slice(name.indexOf('/') + 1)}`;
    if (!isDigest(digest)) continue;
    const path = join(folder, name);
    const found = await statIfThere(path);
    if (found !== undefined && found.mtime < before && !(await isNeeded(digest))) orphans.push(path);
  }
  return orphans;
}

async function statIfThere(path: string) {
  return stat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
}

async function unlinkIfThere(path: string): Promise<void> {
  await unlink(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
}
