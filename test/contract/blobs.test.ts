import { mkdir, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { digestOf } from '../../protocol/canonical.ts';
import { fsBlobs } from '../../registry/blobs/fs.ts';
import { tempFolder } from '../support/temp-folder.ts';
import { blobsContract } from './blobs.ts';

describe('blobs in the file system', () => {
  blobsContract(async () => fsBlobs(await tempFolder()));

  it('are private files in folders by digest, and leftovers of a crash are swept', async () => {
    const root = await tempFolder();
    const bytes = Buffer.from('x');
    const digest = digestOf(bytes);
    const blobs = await fsBlobs(root);
    await blobs.put(
      digest,
      (async function* () {
        yield bytes;
      })(),
      { maxBytes: 1 },
    );
    const hex = digest.slice('sha256:'.length);
    expect((await stat(join(root, 'sha256', hex.slice(0, 2), hex))).mode & 0o777).toBe(0o600);
    await mkdir(join(root, 'incoming'), { recursive: true });
    await writeFile(join(root, 'incoming', 'half'), 'half of an upload');
    expect(await blobs.sweep({ before: new Date(0), isNeeded: async () => true })).toEqual({ removed: 1 });
    expect(await readdir(join(root, 'incoming'))).toEqual([]);
  });
});
