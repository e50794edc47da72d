import {
  appendFile,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { buildSkill, startSkill, type BuiltSkill, type SkillProcess } from '../support/skill-process.ts';
import { verifies } from '../support/verifies.ts';

type Cells = (string | number | null)[][];
interface Described {
  rowCount: number;
  columns: { name: string; type: string; nulls: number }[];
  sample: Cells;
}

const FOREVER = 'WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c';

describe('the skill dev.berth/tables', () => {
  let built: BuiltSkill;
  let skill: SkillProcess;
  let outer: string;
  let root: string;
  const put = (path: string, content: string | Uint8Array): Promise<void> =>
    writeFile(join(root, path), content);
  const rows = async (sql: string, more: Record<string, unknown> = {}): Promise<Cells> =>
    (await skill.call<{ rows: Cells }>('query', { sql, ...more })).rows;
  const typesOf = async (path: string): Promise<Record<string, string>> => {
    const { columns } = await skill.call<Described>('describe', { path });
    return Object.fromEntries(columns.map(({ name, type }) => [name, type]));
  };

  beforeAll(async () => {
    built = await buildSkill('tables');
    outer = await mkdtemp(join(tmpdir(), 'berth-tables-'));
    root = join(outer, 'workspace');
    await mkdir(root);
    skill = await startSkill(built, [root], { memoryMb: 512 });
  });
  beforeEach(async () => {
    for (const name of await readdir(root)) await rm(join(root, name), { recursive: true });
  });
  afterAll(async () => {
    await skill.stop();
    await built.remove();
    await rm(outer, { recursive: true, force: true });
  });

  it('runs with the WebAssembly of the SQLite release its code is from', async () => {
    const packed = await readFile(new URL('../../skills/tables/server/sqlite3.wasm', import.meta.url));
    const released = await readFile(new URL(import.meta.resolve('@sqlite.org/sqlite-wasm/sqlite3.wasm')));
    expect(packed.equals(released)).toBe(true);
  });

  describe('files', () => {
    it('are listed by their format, and found by alias or quoted path', async () => {
      await mkdir(join(root, 'data/2026'), { recursive: true });
      await put('data/2026/sales.csv', 'id,amount\n1,10\n2,32\n');
      await put('people.json', '[{"id": 1, "name": "Ada"}, {"id": 2, "name": "Grace"}]');
      await put('readme.md', '# no table');
      const { files } = await skill.call<{ files: { path: string; format: string }[] }>('list');
      expect(files.map(({ path, format }) => [path, format])).toEqual([
        ['data/2026/sales.csv', 'csv'],
        ['people.json', 'json'],
      ]);
      expect(await skill.call('list', { limit: 1 })).toMatchObject({ truncated: true });
      const joined = await skill.call('query', {
        sql: 'SELECT name, amount FROM p JOIN "data/2026/sales.csv" USING (id) ORDER BY amount DESC',
        tables: { p: '/workspace/people.json' },
      });
      expect(joined).toMatchObject({
        columns: ['name', 'amount'],
        rows: [
          ['Grace', 32],
          ['Ada', 10],
        ],
        tables: [
          { name: 'p', path: 'people.json', rows: 2 },
          { name: 'data/2026/sales.csv', path: 'data/2026/sales.csv', rows: 2 },
        ],
      });
    });

    it(
      'outside the folder are refused, however they are named',
      verifies('skills.tables-read-only'),
      async () => {
        await writeFile(join(outer, 'secret.csv'), 'secret\n42\n');
        await symlink(join(outer, 'secret.csv'), join(root, 'link.csv'));
        await symlink(outer, join(root, 'out'));
        const paths = [
          '../secret.csv',
          join(outer, 'secret.csv'),
          'link.csv',
          'out/secret.csv',
          '/workspace/../secret.csv',
          '/etc/passwd',
        ];
        for (const path of paths) {
          expect(await skill.refusal('describe', { path }), path).toContain('outside the workspace');
          await skill.refusal('query', { sql: 'SELECT * FROM t', tables: { t: path } });
          expect(await skill.refusal('query', { sql: `SELECT * FROM "${path}"` }), path).toContain(
            'outside the workspace',
          );
        }
        await skill.refusal('list', { path: '..' });
        expect(await skill.call('list')).toMatchObject({ files: [] });
        await put('notes.txt', 'x');
        expect(await skill.refusal('describe', { path: 'notes.txt' })).toContain('not a table');
        expect(await skill.refusal('describe', { path: 'gone.csv' })).toContain('There is no file');
        expect(await skill.refusal('query', { sql: 'SELECT * FROM gone' })).toContain(
          'no table or file "gone"',
        );
      },
    );

    it('are loaded again when they change, and only then', async () => {
      await put('a.csv', 'x\n1\n');
      expect(await rows('SELECT sum(x) FROM "a.csv"')).toEqual([[1]]);
      await appendFile(join(root, 'a.csv'), '2\n');
      expect(await rows('SELECT sum(x) FROM "a.csv"')).toEqual([[3]]);
      await put('a.csv', 'x\n5\n7\n');
      await utimes(join(root, 'a.csv'), 1, 1);
      expect(await rows('SELECT sum(x) FROM "a.csv"')).toEqual([[12]]);
      await rm(join(root, 'a.csv'));
      expect(await skill.refusal('query', { sql: 'SELECT sum(x) FROM "a.csv"' })).toContain(
        'There is no file',
      );
    });

    it('more than are kept loaded can still be asked one after the other and together', async () => {
      for (let index = 0; index < 20; index += 1) await put(`f${index}.csv`, `x\n${index}\n`);
      for (let index = 0; index < 20; index += 1)
        expect(await rows(`SELECT x FROM "f${index}.csv"`)).toEqual([[index]]);
      const sixteen = Array.from({ length: 16 }, (_, index) => `SELECT x FROM "f${index}.csv"`).join(
        ' UNION ALL ',
      );
      expect(await rows(`SELECT sum(x) FROM (${sixteen})`)).toEqual([[120]]);
    });
  });

  describe('CSV and TSV', () => {
    it(
      'cells keep their value: quotes, line breaks, unicode, zeros in front, big integers',
      verifies('skills.tables-exact'),
      async () => {
        await put(
          'a.csv',
          '\uFEFFid,text,zip,big,bigger,price,mixed,empty\r\n' +
            '1,"a ""quoted"", cell\r\nin two lines 🚢",01234,9007199254740993,12345678901234567890123,1.5,1,\r\n' +
            '\r\n' +
            '2,ünïcödé,99999,-9223372036854775808,1,2,x,\r\n',
        );
        expect(await typesOf('a.csv')).toEqual({
          id: 'integer',
          text: 'text',
          zip: 'text',
          big: 'integer',
          bigger: 'text',
          price: 'real',
          mixed: 'text',
          empty: 'null',
        });
        expect(await rows('SELECT * FROM "a.csv"')).toEqual([
          [
            1,
            'a "quoted", cell\r\nin two lines 🚢',
            '01234',
            '9007199254740993',
            '12345678901234567890123',
            1.5,
            '1',
            null,
          ],
          [2, 'ünïcödé', '99999', '-9223372036854775808', '1', 2, 'x', null],
        ]);
        expect(await rows('SELECT big - 1, price / 4, typeof(price) FROM "a.csv" WHERE id = 1')).toEqual([
          ['9007199254740992', 0.375, 'real'],
        ]);
      },
    );

    it('a type holds for the whole file, not for its beginning', async () => {
      await put('late.csv', `x,y\n${'1,9007199254740993\n'.repeat(5000)}n/a,0.5\n`);
      expect(await typesOf('late.csv')).toEqual({ x: 'text', y: 'text' });
      expect(await rows('SELECT DISTINCT y FROM "late.csv"')).toEqual([['9007199254740993'], ['0.5']]);
    });

    it('separators and headers as people write them', async () => {
      await put('semicolon.csv', 'a;b\n"x;1";2,5\n');
      await put('tabs.tsv', 'a,b\tB\tb\t\n1,5\t2\t3\t4\n');
      expect(await rows('SELECT * FROM "semicolon.csv"')).toEqual([['x;1', '2,5']]);
      expect(Object.keys(await typesOf('tabs.tsv'))).toEqual(['a,b', 'B', 'b_2', 'column_4']);
      await put('short.csv', 'a,b,c\n1\n2,3,4,,\n');
      expect(await rows('SELECT * FROM "short.csv"')).toEqual([
        [1, null, null],
        [2, 3, 4],
      ]);
      await put('only-header.csv', 'a,b\n');
      expect(await skill.call('describe', { path: 'only-header.csv' })).toMatchObject({
        rowCount: 0,
        sample: [],
      });
    });

    it.each([
      ['a quote that never closes', 'a,b\n1,"open\n2,3\n', 'Record 2 is broken'],
      ['a quote that closes too early', 'a,b\n1,"x" y\n2,3\n', 'Record 2 is broken'],
      ['a row longer than the header', 'a,b\n1,2\n1,2,3\n', 'Record 3 has 3 cells'],
      ['nothing at all', '', 'no header'],
    ])('%s is a fault with its place', async (_, content, fault) => {
      await put('broken.csv', content);
      expect(await skill.refusal('describe', { path: 'broken.csv' })).toContain(fault);
      await put('good.csv', 'x\n1\n');
      expect(await rows('SELECT x FROM "good.csv"')).toEqual([[1]]);
    });
  });

  describe('JSON', () => {
    it('lists, lines, nested values and big integers', verifies('skills.tables-exact'), async () => {
      await put(
        'list.json',
        '\uFEFF [ {"id": 9007199254740993, "huge": 12345678901234567890, "tags": ["a", {"b": "]},"}]},\n {"id": 2, "x": 1, "ok": true}, {"id": 3, "x": 1.5, "ok": null, "text": "a \\" \\\\"} ] ',
      );
      expect(await typesOf('list.json')).toEqual({
        id: 'integer',
        huge: 'text',
        tags: 'text',
        x: 'real',
        ok: 'integer',
        text: 'text',
      });
      expect(await rows('SELECT id, huge, tags, x, ok, text FROM "list.json"')).toEqual([
        ['9007199254740993', '12345678901234567890', '["a",{"b":"]},"}]', null, null, null],
        [2, null, null, 1, 1, null],
        [3, null, null, 1.5, null, 'a " \\'],
      ]);
      expect(await rows(`SELECT tags ->> '$[1].b' FROM "list.json" WHERE tags IS NOT NULL`)).toEqual([
        [']},'],
      ]);

      await put('lines.ndjson', '{"a": 1}\r\n\r\n{"a": 2, "b": "ü"}\n{"a": 3}');
      expect(await rows('SELECT sum(a), max(b) FROM "lines.ndjson"')).toEqual([[6, 'ü']]);
      await put('one.json', '{"a": {"deep": 12345678901234567890}}');
      expect(await rows('SELECT * FROM "one.json"')).toEqual([['{"deep":"12345678901234567890"}']]);
      await put('lists.json', '[[1, "x"], [2]]');
      expect(await rows('SELECT * FROM "lists.json"')).toEqual([
        [1, 'x'],
        [2, null],
      ]);
      await put('numbers.json', '[1, 2.5, "three"]');
      expect(await rows('SELECT value, typeof(value) FROM "numbers.json"')).toEqual([
        [1, 'integer'],
        [2.5, 'real'],
        ['three', 'text'],
      ]);
    });

    it('a record across the borders of what is read at once is whole', async () => {
      const records = Array.from({ length: 4000 }, (_, id) => ({ id, text: `${'ä'.repeat(400)}\\"[{${id}` }));
      await put('large.json', JSON.stringify(records));
      expect(await rows('SELECT count(*), sum(id), max(length(text)) FROM "large.json"')).toEqual([
        [4000, 7998000, 408],
      ]);
    });

    it.each([
      ['ends too early', '[{"a": 1}, {"a": ', 'ends in the middle'],
      ['a stray bracket', '{"a": 1}]', 'no opening one'],
      ['text after the list', '[{"a": 1}] x', 'follows the end'],
      ['no JSON inside', '[{"a": 1}, {a: 2}]', 'Record 2 is not valid JSON'],
      ['nothing', '[]', 'no records'],
    ])('%s is a fault', async (_, content, fault) => {
      await put('broken.json', content);
      expect(await skill.refusal('describe', { path: 'broken.json' })).toContain(fault);
    });

    it('keys that name what objects have anyway are only keys', async () => {
      await put('odd.json', '[{"__proto__": 1, "constructor": 2}, {"a": 3}]');
      expect(await rows('SELECT a, "constructor", "__proto__" FROM "odd.json"')).toEqual([
        [null, 2, 1],
        [3, null, null],
      ]);
    });
  });

  describe('Parquet', () => {
    it('values of all kinds, over several row groups', verifies('skills.tables-exact'), async () => {
      const count = 2500;
      const file = parquetWriteBuffer({
        rowGroupSize: 1000,
        columnData: [
          {
            name: 'id',
            data: Array.from({ length: count }, (_, index) => BigInt(index) + 9007199254740993n),
            type: 'INT64',
          },
          {
            name: 'name',
            data: Array.from({ length: count }, (_, index) => (index % 2 ? `name ${index} 🚢` : null)),
            type: 'STRING',
          },
          { name: 'share', data: Array.from({ length: count }, (_, index) => index), type: 'DOUBLE' },
          { name: 'ok', data: Array.from({ length: count }, (_, index) => index % 3 === 0), type: 'BOOLEAN' },
          {
            name: 'at',
            data: Array.from({ length: count }, () => new Date('2026-11-22T10:30:00.123Z')),
            type: 'TIMESTAMP',
          },
          {
            name: 'more',
            data: Array.from({ length: count }, (_, index) => ({ n: index, l: [1, 2] })),
            type: 'JSON',
          },
        ],
      });
      await put('data.parquet', new Uint8Array(file));
      const described = await skill.call<Described>('describe', { path: 'data.parquet', sampleRows: 2 });
      expect(described).toMatchObject({
        rowCount: count,
        columns: [
          { name: 'id', type: 'integer', nulls: 0 },
          { name: 'name', type: 'text', nulls: 1250 },
          { name: 'share', type: 'real', nulls: 0 },
          { name: 'ok', type: 'integer' },
          { name: 'at', type: 'text' },
          { name: 'more', type: 'text' },
        ],
      });
      expect(described.sample[1]).toEqual([
        '9007199254740994',
        'name 1 🚢',
        1,
        0,
        '2026-11-22T10:30:00.123Z',
        '{"n":1,"l":[1,2]}',
      ]);
      expect(
        await rows(`SELECT count(*), sum(ok), max(id), sum(more ->> 'n'), date(min(at)) FROM "data.parquet"`),
      ).toEqual([[2500, 834, '9007199254743492', 3123750, '2026-11-22']]);
      expect(await rows('SELECT name, share FROM "data.parquet" ORDER BY id DESC LIMIT 1')).toEqual([
        ['name 2499 🚢', 2499],
      ]);
    });

    it(
      'decimals are what they say, not what a float makes of them',
      verifies('skills.tables-exact'),
      async () => {
        const file = parquetWriteBuffer({
          columnData: [{ name: 'price', data: [0.57, 1.1, 1234567.89] }],
          schema: [
            { name: 'root', num_children: 1 },
            {
              name: 'price',
              type: 'INT64',
              converted_type: 'DECIMAL',
              scale: 2,
              precision: 18,
              repetition_type: 'REQUIRED',
            },
          ],
        });
        await put('money.parquet', new Uint8Array(file));
        expect(await rows('SELECT price FROM "money.parquet"')).toEqual([[0.57], [1.1], [1234567.89]]);
      },
    );

    it('a cut or foreign file is refused', async () => {
      const whole = new Uint8Array(
        parquetWriteBuffer({ columnData: [{ name: 'a', data: [1, 2, 3], type: 'INT32' }] }),
      );
      await put('cut.parquet', whole.subarray(0, whole.length - 20));
      await put('text.parquet', 'not parquet at all');
      await put('empty.parquet', '');
      const flipped = whole.slice();
      flipped.fill(0xff, 4, 40);
      await put('flipped.parquet', flipped);
      for (const path of ['cut.parquet', 'text.parquet', 'empty.parquet', 'flipped.parquet']) {
        expect(await skill.refusal('describe', { path }), path).toContain('could not be loaded');
      }
    });
  });

  describe('SQL', () => {
    beforeEach(() => put('t.csv', 'x,y\n1,a\n2,b\n'));

    it.each([
      'DELETE FROM t',
      "UPDATE t SET y = 'z'",
      'INSERT INTO t VALUES (3, 4)',
      'DROP VIEW t',
      'DROP TABLE file_1',
      'CREATE TABLE mine (a)',
      'CREATE TEMP TABLE mine AS SELECT 1',
      'CREATE TEMP TRIGGER r INSTEAD OF DELETE ON t BEGIN SELECT 1; END',
      "ATTACH '/data/other.db' AS other",
      "ATTACH ':memory:' AS other",
      'PRAGMA hard_heap_limit = 0',
      'PRAGMA table_list',
      "SELECT * FROM pragma_table_info('t')",
      'SELECT * FROM sqlite_master',
      'SELECT * FROM sqlite_temp_schema',
      'UPDATE sqlite_dbpage SET data = zeroblob(8192)',
      "VACUUM INTO '/tmp/copy.db'",
      'BEGIN',
      'COMMIT',
      'REINDEX',
      'ANALYZE',
      'WITH gone AS (SELECT 1) DELETE FROM t',
      "SELECT load_extension('/tmp/x.so')",
      "SELECT readfile('/etc/passwd')",
      "SELECT writefile('/tmp/x', 'y')",
      'SELECT 1; DELETE FROM t',
      'SELECT 1; SELECT 2',
      '',
      '-- nothing',
      'SELECT 1\0; DELETE FROM t',
    ])('%s is refused and changes nothing', verifies('skills.tables-read-only'), async (sql) => {
      await skill.refusal('query', { sql, tables: { t: 't.csv' } });
      expect(await rows('SELECT * FROM t; -- as it was', { tables: { t: 't.csv' } })).toEqual([
        [1, 'a'],
        [2, 'b'],
      ]);
    });

    it('reads with all that SQLite can', async () => {
      const tables = { t: 't.csv' };
      expect(await rows('SELECT x, sum(x) OVER (ORDER BY x) FROM t', { tables })).toEqual([
        [1, 1],
        [2, 3],
      ]);
      expect(
        await rows(
          'WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 4) SELECT group_concat(i) FROM n',
        ),
      ).toEqual([['1,2,3,4']]);
      expect(await rows("SELECT x'00ff', 1e999, 9223372036854775807, NULL, json_object('a', 1)")).toEqual([
        ['00ff', 'Infinity', '9223372036854775807', null, '{"a":1}'],
      ]);
      expect(await rows('EXPLAIN QUERY PLAN SELECT * FROM t', { tables })).toHaveLength(1);
      expect(await skill.refusal('query', { sql: 'SELECT nope FROM t', tables })).toContain(
        'no such column: nope',
      );
      expect(await skill.refusal('query', { sql: 'SELEC' })).toContain('syntax error');
      expect(await skill.refusal('query', { sql: 'SELECT 1', tables: { 'a b': 't.csv' } })).toContain(
        'Invalid key',
      );
    });

    it(
      'answers are bounded in rows, in size and in the length of a cell',
      verifies('skills.tables-bounded'),
      async () => {
        const many = 'WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n LIMIT 100000)';
        expect(await skill.call('query', { sql: `${many} SELECT i FROM n`, limit: 7 })).toMatchObject({
          truncated: 'rows',
          rows: { length: 7 },
        });
        const big = await skill.call<{ rows: Cells }>('query', {
          sql: `${many} SELECT hex(zeroblob(900)) FROM n`,
          limit: 1000,
        });
        expect(big).toMatchObject({ truncated: 'size' });
        expect(JSON.stringify(big.rows).length).toBeLessThan(220_000);
        const long = await skill.call<{ rows: Cells; cellsCut: number }>('query', {
          sql: "SELECT printf('%.*c', 1000000, 'x')",
        });
        expect([String(long.rows[0]?.[0]).length, long.cellsCut]).toEqual([2001, 1]);
      },
    );

    it(
      'endless queries end at their time, when cancelled, and never block the next',
      verifies('skills.tables-bounded'),
      async () => {
        const begun = performance.now();
        expect(await skill.refusal('query', { sql: FOREVER, timeoutMs: 200 })).toContain(
          'longer than 200 ms',
        );
        expect(performance.now() - begun).toBeLessThan(1500);

        const cancel = new AbortController();
        const news: string[] = [];
        const running = skill.client.callTool(
          {
            name: 'query',
            arguments: {
              sql: FOREVER.replace('FROM c)', 'FROM c, t)'),
              tables: { t: 't.csv' },
              timeoutMs: 20_000,
            },
          },
          {
            signal: cancel.signal,
            onprogress: ({ message }) => {
              news.push(message ?? '');
              cancel.abort();
            },
          },
        );
        const refused = expect(running).rejects.toThrow();
        // Listing does not wait for the query: it runs beside it.
        expect(await skill.call('list')).toMatchObject({ truncated: false });
        await refused;
        expect(news[0]).toBe('Loading t.csv');
        expect(await rows('SELECT sum(x) FROM t', { tables: { t: 't.csv' }, timeoutMs: 5000 })).toEqual([
          [3],
        ]);
      },
    );

    it(
      'queries that need too much memory are refused, and the next one works',
      verifies('skills.tables-bounded'),
      async () => {
        const numbers = 'WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n LIMIT 5000000)';
        const sorted = `${numbers} SELECT max(h) FROM (SELECT hex(randomblob(200)) h FROM n ORDER BY h LIMIT 4999999)`;
        expect(await skill.refusal('query', { sql: sorted, timeoutMs: 20_000 })).toContain('MB of memory');
        expect(await skill.refusal('query', { sql: 'SELECT zeroblob(100000000)' })).toContain('too long');
        expect(
          await skill.refusal('query', { sql: `SELECT ${'('.repeat(5000)}1${')'.repeat(5000)}` }),
        ).toContain('SQLite');
        expect(await rows('SELECT 1')).toEqual([[1]]);
      },
    );
  });

  describe('files too much for memory', () => {
    it(
      'are refused by size, by columns, by record, and the next file is read',
      { timeout: 60_000, ...verifies('skills.tables-bounded') },
      async () => {
        await put('huge.csv', `a\n${'1234567\n'.repeat(7_000_000)}`);
        expect(await skill.refusal('describe', { path: 'huge.csv' })).toContain('at most');
        await put('wide.csv', `${Array.from({ length: 501 }, (_, index) => `c${index}`).join(',')}\n`);
        expect(await skill.refusal('describe', { path: 'wide.csv' })).toContain('501 columns');
        await put('record.json', `[{"a": "${'x'.repeat(17 * 1024 * 1024)}"}]`);
        expect(await skill.refusal('describe', { path: 'record.json' })).toContain('One record has over');
        await put('open.csv', `a,b\n1,"${'ж,x\n'.repeat(9_000_000)}`);
        expect(await skill.refusal('describe', { path: 'open.csv', timeoutMs: 20_000 })).toMatch(
          /broken|memory/,
        );
        // A small file that is large once unpacked.
        const text = ['x'.repeat(1000), 'y'.repeat(1000)];
        const data = Array.from({ length: 400_000 }, (_, index) => text[index % 2]);
        await put(
          'bomb.parquet',
          new Uint8Array(parquetWriteBuffer({ columnData: [{ name: 'a', data, type: 'STRING' }] })),
        );
        expect(await skill.refusal('describe', { path: 'bomb.parquet', timeoutMs: 25_000 })).toContain(
          'MB of memory',
        );
        await put('t.csv', 'x\n1\n');
        expect(await rows('SELECT x FROM "t.csv"')).toEqual([[1]]);
        expect(skill.stderr()).toBe('');
      },
    );

    it('loading stops when its caller has gone', async () => {
      await put('slow.csv', `a,b\n${'1234567,text\n'.repeat(2_500_000)}`);
      expect(await skill.refusal('describe', { path: 'slow.csv', timeoutMs: 100 })).toContain(
        'longer than 100 ms',
      );
      await put('t.csv', 'x\n1\n');
      expect(await rows('SELECT x FROM "t.csv"', { timeoutMs: 2000 })).toEqual([[1]]);
    });
  });
});
