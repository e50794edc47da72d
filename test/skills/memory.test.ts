import { mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  buildSkill,
  startSkill,
  textOf,
  type BuiltSkill,
  type SkillProcess,
} from '../support/skill-process.ts';
import { verifies } from '../support/verifies.ts';

interface Note {
  id: string;
  revision: number;
  title: string;
  tags: string[];
  text: string;
  created?: boolean;
}
interface Notes {
  notes: (Note & { snippet: string })[];
  total: number;
  unreadable: number;
}

describe('the skill dev.berth/memory', () => {
  let built: BuiltSkill;
  let skill: SkillProcess;
  let data: string;
  const started: SkillProcess[] = [];
  const start = async (): Promise<SkillProcess> => {
    const process = await startSkill(built, [data], { memoryMb: 256 });
    started.push(process);
    return process;
  };
  const add = (text: string, more: Record<string, unknown> = {}): Promise<Note> =>
    skill.call<Note>('add', { text, ...more });
  const found = async (query: string, more: Record<string, unknown> = {}): Promise<string[]> =>
    (await skill.call<Notes>('search', { query, ...more })).notes.map(({ title }) => title);

  beforeAll(async () => {
    built = await buildSkill('memory');
  });
  beforeEach(async () => {
    data = await mkdtemp(join(tmpdir(), 'berth-memory-'));
    skill = await start();
  });
  afterEach(async () => {
    await Promise.all(started.splice(0).map((process) => process.stop()));
    await rm(data, { recursive: true, force: true });
  });
  afterAll(() => built.remove());

  it('keeps, finds, updates and lists notes', async () => {
    const ship = await add('# The ship\nThe ferry to Røst leaves at 7:30.\r\nBring 旅行 papers.', {
      tags: ['Travel', ' travel ', 'norway'],
    });
    await add('Kubernetes upgrade went badly', { title: 'Upgrade of the cluster', tags: ['work'] });
    expect(ship).toMatchObject({ title: 'The ship', tags: ['norway', 'travel'], revision: 1, created: true });
    expect(await skill.call('get', { id: ship.id })).toMatchObject({
      text: '# The ship\nThe ferry to Røst leaves at 7:30.\r\nBring 旅行 papers.',
    });

    expect(await found('ferry')).toEqual(['The ship']);
    expect(await found('ferr')).toEqual(['The ship']);
    expect(await found('kubernets')).toEqual(['Upgrade of the cluster']);
    expect(await found('UPGRADE badly')).toEqual(['Upgrade of the cluster']);
    expect(await found('旅行')).toEqual(['The ship']);
    expect(await found('ferry upgrade')).toHaveLength(2);
    expect(await found('ferry', { tags: ['work'] })).toEqual([]);
    expect(await found('nothing-like-it')).toEqual([]);

    expect(
      await skill.call('update', { id: ship.id, text: 'The ferry to Rost leaves at 8.', ifRevision: 1 }),
    ).toMatchObject({ revision: 2, title: 'The ship' });
    expect(await skill.refusal('update', { id: ship.id, text: 'late', ifRevision: 1 })).toContain(
      'revision 2',
    );
    expect(await skill.refusal('update', { id: ship.id })).toContain('Say what to change');
    expect(await found('papers')).toEqual([]);
    const { notes, total } = await skill.call<Notes>('list');
    expect([notes.map(({ title }) => title), total]).toEqual([['The ship', 'Upgrade of the cluster'], 2]);
    expect(await skill.call('tags')).toEqual({
      tags: ['norway', 'travel', 'work'].map((tag) => ({ tag, notes: 1 })),
    });
  });

  it('finds words whatever their accents, and cuts no character in a snippet', async () => {
    await add(`${'🚢'.repeat(200)} Café crème in Zürich ${'🚢'.repeat(200)}`, { title: 'Coffee' });
    expect(await found('cafe CREME zurich')).toEqual(['Coffee']);
    const { notes } = await skill.call<Notes>('search', { query: 'zurich' });
    expect(notes[0]?.snippet).toContain('Zürich');
    expect(notes[0]?.snippet).not.toMatch(/[\uD800-\uDFFF]/u);
  });

  it('forgets so that nothing finds it, and restores', verifies('skills.memory-forget'), async () => {
    const { id } = await add('The door code is by the lamp', { tags: ['home'] });
    const { restorableUntil } = await skill.call<{ restorableUntil: string }>('forget', { id });
    expect(await skill.call('forget', { id })).toMatchObject({ restorableUntil });
    expect(Date.parse(restorableUntil) - Date.now()).toBeGreaterThan(29.9 * 24 * 3600 * 1000);
    expect(await found('door')).toEqual([]);
    expect(await skill.call('list')).toMatchObject({ total: 0 });
    expect(await skill.call('tags')).toEqual({ tags: [] });
    expect(await skill.refusal('get', { id })).toContain('"restore"');
    expect(await skill.refusal('update', { id, text: 'x' })).toContain('"restore"');
    expect(await skill.call('list', { forgotten: true })).toMatchObject({ notes: [{ id }], total: 1 });

    expect(await skill.call('restore', { id })).toMatchObject({ id, tags: ['home'] });
    expect(await found('door')).toHaveLength(1);
    expect(await skill.refusal('restore', { id: '0'.repeat(26) })).toContain('There is no note');
  });

  it('what was forgotten thirty days ago is gone for good', verifies('skills.memory-forget'), async () => {
    const note = await add('old');
    await skill.call('forget', { id: note.id });
    const path = join(data, 'notes', `${note.id}.2.md`);
    const aged = (await readFile(path, 'utf8')).replace(
      /"forgottenAt":"[^"]*"/,
      '"forgottenAt":"2020-01-01T00:00:00.000Z"',
    );
    await writeFile(path, aged);
    await (await start()).call('list');
    expect(await readdir(join(data, 'notes'))).toEqual([]);
  });

  it('a retried request makes one note', verifies('skills.memory-once'), async () => {
    const other = await start();
    const request = { text: 'once', requestId: 'request-1' };
    const ids = await Promise.all(
      Array.from({ length: 12 }, (_, index) => (index % 2 ? skill : other).call<Note>('add', request)),
    );
    expect(new Set(ids.map(({ id }) => id)).size).toBe(1);
    expect(ids.filter(({ created }) => created)).toHaveLength(1);
    expect(await skill.call('list')).toMatchObject({ total: 1 });
    expect(await skill.refusal('add', { text: 'twice', requestId: 'request-1' })).toContain('another note');
    await skill.call('forget', { id: ids[0]?.id });
    expect(await skill.refusal('add', request)).toContain('forgotten since');
  });

  it(
    'a note acknowledged before kill -9 is whole afterwards, and retries finish the rest',
    verifies('skills.memory-durable', 'skills.memory-once'),
    async () => {
      const acknowledged = new Map<number, string>();
      const content = (index: number): string => `note ${index}: ${'ä long text '.repeat(800)} end ${index}`;
      const addAll = async (process: SkillProcess, range: number[], killAfter: number): Promise<void> => {
        let seen = 0;
        await Promise.allSettled(
          range.map(async (index) => {
            const { id } = await process.call<Note>('add', {
              text: content(index),
              requestId: `request ${index}`,
            });
            acknowledged.set(index, id);
            seen += 1;
            if (seen === killAfter) globalThis.process.kill(process.pid, 'SIGKILL');
          }),
        );
      };
      for (let round = 0; round < 2; round += 1) {
        const range = Array.from({ length: 30 }, (_, index) => round * 30 + index);
        await addAll(await start(), range, 5 + round * 10);
        const survivor = await start();
        const { total, unreadable } = await survivor.call<Notes>('list');
        expect(unreadable).toBe(0);
        expect(total).toBeGreaterThanOrEqual(acknowledged.size);
        for (const [index, id] of acknowledged) {
          expect(await survivor.call<Note>('get', { id })).toMatchObject({ text: content(index) });
        }
        await addAll(survivor, range, Infinity);
        expect(await survivor.call('list')).toMatchObject({ total: (round + 1) * 30, unreadable: 0 });
      }
      // What the killed processes left is swept once it is surely nobody's.
      const leftovers = (await readdir(join(data, 'notes'))).filter((name) => name.endsWith('.tmp'));
      for (const name of leftovers) await utimes(join(data, 'notes', name), 0, 0);
      await (await start()).call('list');
      expect((await readdir(join(data, 'notes'))).filter((name) => !name.endsWith('.1.md'))).toEqual([]);
    },
  );

  it(
    'an update killed half-way leaves the old note or the new one',
    verifies('skills.memory-durable'),
    async () => {
      const { id } = await add('version 0');
      for (let round = 1; round <= 3; round += 1) {
        const victim = await start();
        let answers = 0;
        await Promise.allSettled(
          Array.from({ length: 30 }, async (_, index) => {
            await victim.result('update', { id, text: `version ${round}.${index}` });
            answers += 1;
            if (answers === round * 3) globalThis.process.kill(victim.pid, 'SIGKILL');
          }),
        );
        const note = await skill.call<Note>('get', { id });
        expect(note.text).toMatch(new RegExp(`^version ${round}\\.\\d+$`));
        expect(await skill.call('list')).toMatchObject({ total: 1, unreadable: 0 });
        const files = (await readdir(join(data, 'notes'))).filter((name) => name.endsWith('.md'));
        expect(files).toContain(`${id}.${note.revision}.md`);
        expect(files).not.toContain(`${id}.${note.revision + 1}.md`);
      }
    },
  );

  it(
    'processes see each other at once, and of many holders of one revision one wins',
    verifies('skills.memory-shared'),
    async () => {
      const other = await start();
      const { id } = await add('shared', { title: 'Shared' });
      expect(await other.call('search', { query: 'shared' })).toMatchObject({ notes: [{ id }] });
      await other.call('update', { id, text: 'changed elsewhere' });
      expect(await found('elsewhere')).toEqual(['Shared']);

      const results = await Promise.all(
        Array.from({ length: 20 }, (_, index) =>
          (index % 2 ? skill : other).result('update', { id, text: `winner ${index}`, ifRevision: 2 }),
        ),
      );
      expect(results.filter(({ isError }) => !isError)).toHaveLength(1);
      const many = await Promise.all(
        Array.from({ length: 8 }, (_, index) =>
          (index % 2 ? skill : other).result('update', { id, text: `free ${index}` }),
        ),
      );
      expect(many.filter(({ isError }) => !isError)).toHaveLength(8);
      expect(await other.call('get', { id })).toMatchObject({ revision: 11 });

      await other.call('forget', { id });
      expect(await found('shared')).toEqual([]);
    },
  );

  it('a counter that several processes raise loses nothing', verifies('skills.memory-shared'), async () => {
    const processes = [skill, await start(), await start()];
    const { id } = await add('0');
    const raise = async (process: SkillProcess): Promise<void> => {
      for (let refused = true; refused;) {
        const { text, revision } = await process.call<Note>('get', { id });
        const args = { id, text: String(Number(text) + 1), ifRevision: revision };
        refused = (await process.result('update', args)).isError === true;
      }
    };
    await Promise.all(
      processes.map(async (process) => {
        for (let round = 0; round < 15; round += 1) await Promise.all([raise(process), raise(process)]);
      }),
    );
    expect(await skill.call('get', { id })).toMatchObject({ text: '90', revision: 91 });
  });

  it('what was replaced goes once nobody can be about to replace it', async () => {
    const { id } = await add('one');
    const files = async (): Promise<string[]> => (await readdir(join(data, 'notes'))).toSorted();
    const age = async (revision: number): Promise<void> => {
      const path = join(data, 'notes', `${id}.${revision}.md`);
      await writeFile(
        path,
        (await readFile(path, 'utf8')).replace(
          /"updatedAt":"[^"]*"/,
          '"updatedAt":"2026-01-01T00:00:00.000Z"',
        ),
      );
      await utimes(path, 0, 0);
    };
    for (const text of ['two', 'three', 'four']) await skill.call('update', { id, text });
    expect(await files()).toHaveLength(4);
    for (const revision of [1, 2, 3]) await age(revision);
    expect(await (await start()).call('get', { id })).toMatchObject({ text: 'four' });
    expect(await files()).toEqual([`${id}.3.md`, `${id}.4.md`]);
    await age(4);
    expect(await (await start()).call('get', { id })).toMatchObject({ text: 'four' });
    expect(await files()).toEqual([`${id}.4.md`]);
  });

  it('a damaged or foreign file among the notes is counted, not believed', async () => {
    const { id } = await add('good');
    const notes = join(data, 'notes');
    await writeFile(join(notes, `${'1'.repeat(26)}.1.md`), '---\n{"id":"../../etc/passwd"}\n---\nbad');
    await writeFile(join(notes, `${'2'.repeat(26)}.1.md`), await readFile(join(notes, `${id}.1.md`)));
    await writeFile(join(notes, `${id}.2.md`), '---\n{"id":');
    await writeFile(join(notes, 'README.txt'), 'mine');
    const fresh = await start();
    expect(await fresh.call('list')).toMatchObject({ total: 0, unreadable: 3 });
    expect(await readdir(notes)).toContain(`${id}.1.md`);
    await rm(join(notes, `${id}.2.md`));
    expect(await fresh.call('list')).toMatchObject({ total: 1, unreadable: 2 });
  });

  it('takes no more than its index can hold, and says what to do', async () => {
    const note = await readFile(join(data, 'notes', `${(await add('x'.repeat(30_000))).id}.1.md`), 'utf8');
    const { id: first } = await add('small');
    const [, template = ''] = /"id":"([^"]*)"/.exec(note) ?? [];
    await Promise.all(
      Array.from({ length: 132 }, (_, index) => {
        const id = `01${String(index).padStart(24, '0')}`;
        return writeFile(join(data, 'notes', `${id}.1.md`), note.replace(template, id));
      }),
    );
    expect(await skill.refusal('add', { text: 'x'.repeat(30_000) })).toContain('memory is full');
    expect(await skill.refusal('update', { id: first, text: 'x'.repeat(30_000) })).toContain(
      'memory is full',
    );
    await skill.call('forget', { id: template });
    expect(await add('y'.repeat(20_000))).toMatchObject({ created: true });
  });

  it('offers notes as resources and a prompt that recalls them', async () => {
    const { id } = await add('The ferry leaves at 7:30', { tags: ['travel'] });
    const resource = await skill.client.readResource({ uri: `memory://notes/${id}` });
    expect(resource.contents).toEqual([
      { uri: `memory://notes/${id}`, mimeType: 'text/markdown', text: 'The ferry leaves at 7:30' },
    ]);
    expect((await skill.client.listResources()).resources).toEqual([]);
    await expect(skill.client.readResource({ uri: 'memory://notes/..%2f..%2fsecret' })).rejects.toThrow();

    const recall = await skill.client.getPrompt({ name: 'recall', arguments: { topic: 'ferry' } });
    expect(recall.messages).toHaveLength(2);
    expect(recall.messages[1]?.content).toMatchObject({
      type: 'resource',
      resource: { text: 'The ferry leaves at 7:30' },
    });
    const nothing = await skill.client.getPrompt({ name: 'recall', arguments: { topic: 'submarines' } });
    expect(nothing.messages).toHaveLength(1);
    const topics = await skill.client.complete({
      ref: { type: 'ref/prompt', name: 'recall' },
      argument: { name: 'topic', value: 'tr' },
    });
    expect(topics.completion.values).toEqual(['travel']);
    const ids = await skill.client.complete({
      ref: { type: 'ref/resource', uri: 'memory://notes/{id}' },
      argument: { name: 'id', value: id.slice(0, 5) },
    });
    expect(ids.completion.values).toEqual([id]);
  });

  it('refuses what is not a note, and explains', async () => {
    for (const args of [
      {},
      { text: '' },
      { text: 'x'.repeat(40_000) },
      { text: 'x', tags: [' '] },
      { text: 'x', extra: 1 },
    ]) {
      expect(await skill.refusal('add', args)).toContain('Invalid arguments');
    }
    expect(await skill.refusal('get', { id: '../../etc/passwd' })).toContain('is not the id of a note');
    expect(textOf(await skill.result('list'))).toBe('No notes.');
  });
});
