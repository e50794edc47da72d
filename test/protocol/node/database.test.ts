import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sql } from 'kysely';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { lockHome, openDatabase, type Migration } from '../../../protocol/node/database.ts';
import { expectCode } from '../../support/expect-code.ts';
import { tempFolder } from '../../support/temp-folder.ts';
import { verifies } from '../../support/verifies.ts';

interface Notes {
  note: { text: string };
}

const first: Migration = {
  name: '0001-notes',
  up: async (query) => void (await sql`create table note (text text not null)`.execute(query)),
};
const second: Migration = {
  name: '0002-seed',
  up: async (query) => void (await sql`insert into note values ('seed')`.execute(query)),
};

describe('openDatabase', () => {
  it('applies each migration once, in the order of the names', async () => {
    const path = join(await tempFolder(), 'notes.db');
    await (await openDatabase<Notes>(path, { migrations: [first] })).close();
    for (let start = 0; start < 2; start += 1) {
      const database = await openDatabase<Notes>(path, { migrations: [second, first] });
      expect(await database.query.selectFrom('note').selectAll().execute()).toEqual([{ text: 'seed' }]);
      expect(database.raw.pragma('synchronous', { simple: true })).toBe(2);
      expect(database.raw.pragma('journal_mode', { simple: true })).toBe('wal');
      expect(database.raw.pragma('foreign_keys', { simple: true })).toBe(1);
      await database.close();
    }
    expect((await stat(path)).mode & 0o777).toBe(0o600);
  });

  it('leaves the old schema whole when a step fails', async () => {
    const path = join(await tempFolder(), 'notes.db');
    const failing: Migration = {
      name: '0002-fails',
      up: async (query) => {
        await sql`drop table note`.execute(query);
        throw new Error('half-way');
      },
    };
    await (await openDatabase<Notes>(path, { migrations: [first, second] })).close();
    const third = { ...failing, name: '0003-fails' };
    await expect(openDatabase(path, { migrations: [first, second, third] })).rejects.toThrow('half-way');
    const database = await openDatabase<Notes>(path, { migrations: [first, second] });
    expect(await database.query.selectFrom('note').selectAll().execute()).toEqual([{ text: 'seed' }]);
    await database.close();
  });

  it('says when a commit is on disk, and never that it is once the disk has failed', async () => {
    const path = join(await tempFolder(), 'notes.db');
    let fault: Error | undefined;
    const database = await openDatabase<Notes>(path, {
      migrations: [first],
      syncFile: async () => {
        if (fault !== undefined) throw fault;
      },
    });
    onTestFinished(() => database.close());
    const texts = () => database.raw.prepare('select text from note').pluck().all();
    const write = (text: string) => () => void database.raw.prepare('insert into note values (?)').run(text);
    await database.commit(write('alone'), { alone: true });
    await database.commit(write('beside'), { alone: false });
    expect(texts()).toEqual(['alone', 'beside']);
    expect(database.raw.pragma('synchronous', { simple: true })).toBe(2);
    fault = new Error('lost');
    await expect(database.commit(write('lost'), { alone: false })).rejects.toThrow('lost');
    fault = undefined;
    await expect(database.commit(write('more'), { alone: false })).rejects.toThrow('lost');
    await expect(database.commit(write('more'), { alone: true })).rejects.toThrow('lost');
    expect(texts()).not.toContain('more');
  });

  it('keeps nobody waiting for a slow disk, also when a commit is alone', async () => {
    let syncs = 0;
    let now = 0;
    vi.spyOn(performance, 'now').mockImplementation(() => now);
    const database = await openDatabase<Notes>(join(await tempFolder(), 'notes.db'), {
      migrations: [first],
      syncFile: async () => {
        syncs += 1;
        now += syncs === 1 ? 20 : 0.1;
      },
    });
    onTestFinished(() => database.close());
    const insert = database.raw.prepare("insert into note values ('x')");
    const seen: number[] = [];
    for (const alone of [true, false, true, true]) {
      await database.commit(() => void insert.run(), { alone });
      seen.push(syncs);
    }
    // By itself; beside, and slow; beside for that, and quick; by itself again.
    expect(seen).toEqual([0, 1, 2, 2]);
  });

  it('takes a commit into no transaction of somebody else', async () => {
    const database = await openDatabase<Notes>(join(await tempFolder(), 'notes.db'), { migrations: [first] });
    onTestFinished(() => database.close());
    let commit: Promise<void> = Promise.resolve();
    const undone = database.query.transaction().execute(async (trx) => {
      await trx.insertInto('note').values({ text: 'undone' }).execute();
      const insert = database.raw.prepare("insert into note values ('kept')");
      commit = database.commit(() => void insert.run(), { alone: false });
      throw new Error('undone');
    });
    await expect(undone).rejects.toThrow('undone');
    await commit;
    expect(await database.query.selectFrom('note').selectAll().execute()).toEqual([{ text: 'kept' }]);
  });

  it('refuses data of a newer version', verifies('registry.data-newer'), async () => {
    const path = join(await tempFolder(), 'notes.db');
    await (await openDatabase(path, { migrations: [first, second] })).close();
    const error = await expectCode(openDatabase(path, { migrations: [first] }), 'data-newer');
    expect(error.message).toContain('0002-seed');
  });

  it('refuses a file that is no database', async () => {
    const path = join(await tempFolder(), 'notes.db');
    await writeFile(path, 'not a database at all, but long enough to look like a header of one'.repeat(20));
    await expectCode(openDatabase(path, { migrations: [first] }), 'data-damaged');
  });
});

describe('lockHome', () => {
  it('lets one holder in at a time', verifies('registry.home-lock'), async () => {
    const home = join(await tempFolder(), 'home');
    const held = lockHome(home);
    await expectCode(() => lockHome(home), 'already-running');
    held.release();
    lockHome(home).release();
  });

  it('is free again after the holder was killed', verifies('registry.home-lock'), async () => {
    const home = await tempFolder();
    const program = `
      const lock = new (require('better-sqlite3'))(process.argv[1], { timeout: 0 });
      lock.exec('begin exclusive');
      console.log('locked');
      setInterval(() => {}, 1000);`;
    const holder = spawn(process.execPath, ['-e', program, join(home, 'lock')], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    onTestFinished(() => void holder.kill('SIGKILL'));
    await once(holder.stdout, 'data');
    await expectCode(() => lockHome(home), 'already-running');
    holder.kill('SIGKILL');
    await once(holder, 'exit');
    lockHome(home).release();
  });
});
