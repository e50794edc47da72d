import { chown, mkdir, open, readdir, realpath, rm, rmdir, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { isSameFolder } from '../../../hub/sandbox/folder-identity.ts';
import { identityOf } from '../../../hub/sandbox/processes.ts';
import { createStandIns, notesOf, sweepStandIns } from '../../../hub/sandbox/stand-ins.ts';
import { HELD_BACK, type HeldBackPlace } from '../../../protocol/permissions.ts';
import { tempFolder } from '../../support/temp-folder.ts';
import { verifies } from '../../support/verifies.ts';

const placeOf = (path: string) => HELD_BACK.find((one) => one.path.join('/') === path) as HeldBackPlace;
/** No process has this number any more, or had it then. */
const GONE = { pid: 4_194_303, startTime: '1' };

async function rig() {
  const [folder, notes] = [await realpath(await tempFolder()), join(await tempFolder(), 'stand-ins')];
  const hub = (await identityOf(process.pid))!;
  const handle = await open(folder, 0o10000000);
  onTestFinished(() => handle.close());
  const standIns = createStandIns(notes, hub);
  const stand = async (path: string) => {
    const wanted = { path: join(folder, path.split('/').at(-1) ?? ''), place: placeOf(path) };
    const [stood] = await standIns.stand(handle, [wanted]);
    await stood?.handle.close();
    return stood!;
  };
  return { folder, notes, hub, stand, left: () => readdir(folder) };
}

describe('a stand-in', () => {
  it(
    'is there for as long as somebody needs it, and noted for as long',
    verifies('folders.nothing-left-behind'),
    async () => {
      const { stand, left, notes, hub } = await rig();
      const [one, two] = await Promise.all([stand('.vscode'), stand('.vscode')]);
      expect(await left()).toEqual(['.vscode']);
      expect(await readdir(notesOf(notes, hub))).toHaveLength(1);
      await one.release();
      expect(await left()).toEqual(['.vscode']);
      await two.release();
      expect(await left()).toEqual([]);
      expect(await readdir(notesOf(notes, hub))).toEqual([]);
    },
  );

  it('belongs to whom the folder belongs to', verifies('folders.nothing-left-behind'), async () => {
    const { folder, stand } = await rig();
    if (process.getuid?.() === 0) await chown(folder, 65_534, 65_534);
    const stood = await stand('.vscode');
    expect((await stat(join(folder, '.vscode'))).uid).toBe((await stat(folder)).uid);
    await stood.release();
  });

  it('is never what was there before', verifies('folders.nothing-left-behind'), async () => {
    const { folder, stand, left, notes } = await rig();
    await mkdir(join(folder, '.vscode'));
    const own = await stand('.vscode');
    await own.release();
    expect(await left()).toEqual(['.vscode']);
    await expect(readdir(notes)).rejects.toThrow('ENOENT');
  });

  it('that somebody uses by now is theirs', verifies('folders.nothing-left-behind'), async () => {
    const { folder, stand, left } = await rig();
    const [idea, config] = [await stand('.idea'), await stand('.git/commondir')];
    await writeFile(join(folder, '.idea', 'mine'), '');
    await writeFile(join(folder, 'commondir'), '../mine');
    await Promise.all([idea.release(), config.release()]);
    expect((await left()).toSorted()).toEqual(['.idea', 'commondir']);
  });

  it('that somebody took away is made again for who comes next', verifies('folders.held-back'), async () => {
    const { folder, stand, left } = await rig();
    const first = await stand('.idea');
    await rmdir(join(folder, '.idea'));
    const second = await stand('.idea');
    await first.release();
    expect(await left()).toEqual(['.idea']);
    await second.release();
    expect(await left()).toEqual([]);
  });

  it(
    'of a hub that is gone is taken away, unless it was used',
    verifies('folders.nothing-left-behind'),
    async () => {
      const { folder, notes, left } = await rig();
      const old = notesOf(notes, GONE);
      await mkdir(old, { recursive: true });
      const outside = await realpath(await tempFolder());
      await mkdir(join(outside, '.idea'));
      await symlink(outside, join(folder, 'elsewhere'));
      for (const [index, path] of ['.idea', '.vscode', 'gone', 'elsewhere/.idea'].entries())
        await symlink(join(folder, path), join(old, `folder.${index}`));
      await symlink(join(folder, 'commondir'), join(old, 'file.1'));
      await writeFile(join(folder, 'commondir'), '.\n');
      await mkdir(join(folder, '.idea'));
      await mkdir(join(folder, '.vscode'));
      await writeFile(join(folder, '.vscode', 'settings.json'), '{}');
      await sweepStandIns(notes);
      expect((await left()).toSorted()).toEqual(['.vscode', 'elsewhere']);
      expect(await readdir(outside)).toEqual(['.idea']);
      expect(await readdir(notes)).toEqual([]);
    },
  );

  it('that a hub which is gone has left is taken over', verifies('folders.nothing-left-behind'), async () => {
    const { folder, notes, hub, stand, left } = await rig();
    const old = notesOf(notes, GONE);
    await mkdir(old, { recursive: true });
    await symlink(join(folder, '.idea'), join(old, 'folder.1'));
    await mkdir(join(folder, '.idea'));
    const stood = await stand('.idea');
    expect(await readdir(notesOf(notes, hub))).toEqual(['folder.1']);
    await stood.release();
    expect(await left()).toEqual([]);
    await rm(old, { recursive: true });
  });
});

describe('a folder', () => {
  const folder = { device: '1', inode: '2', born: '3' };
  it.each([
    [folder, true],
    [{ ...folder, device: '9' }, true],
    [{ ...folder, inode: '9' }, false],
    [{ ...folder, born: '9' }, false],
    [{ ...folder, born: '0' }, false],
  ])('%j is the same: %s', verifies('folders.that-very-one'), (other, same) => {
    expect(isSameFolder(folder, other)).toBe(same);
    expect(isSameFolder(other, folder)).toBe(same);
  });

  it('without a time of birth is known by its device, too', verifies('folders.that-very-one'), () => {
    const plain = { ...folder, born: '0' };
    expect(isSameFolder(plain, plain)).toBe(true);
    expect(isSameFolder(plain, { ...plain, device: '9' })).toBe(false);
  });
});
