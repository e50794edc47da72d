import { describe, expect, it } from 'vitest';
import { namesOf } from '../../../cli/adopt/adopt.ts';
import { readCalls } from '../../../cli/adopt/calls.ts';
import { refusalsIn } from '../../../cli/adopt/learn-from-errors.ts';
import { sampleArguments } from '../../../cli/adopt/sample.ts';
import { buildProgram } from '../../../cli/program.ts';
import { nameSchema } from '../../../protocol/manifest.ts';
import { expectCode } from '../../support/expect-code.ts';
import { verifies } from '../../support/verifies.ts';

describe('made-up arguments', () => {
  it('are the required ones, as the schema lets them in', () => {
    expect(
      sampleArguments({
        type: 'object',
        properties: {
          path: { type: 'string' },
          folder: { type: 'string' },
          mode: { enum: ['fast', 'slow'] },
          count: { type: 'integer', minimum: 3 },
          tags: { type: 'array', items: { type: 'string', minLength: 7 } },
          inner: { type: 'object', required: ['a'], properties: { a: { anyOf: [{ type: 'boolean' }] } } },
          kind: { const: 'x' },
          left: { type: 'string' },
          either: { type: ['number', 'null'] },
        },
        required: ['path', 'folder', 'mode', 'count', 'tags', 'inner', 'kind', 'either'],
      }),
    ).toEqual({
      path: '/workspace/berth.txt',
      folder: '/workspace',
      mode: 'fast',
      count: 3,
      tags: ['berth--'],
      inner: { a: false },
      kind: 'x',
      either: 1,
    });
  });

  it('of a schema without end have one', () => {
    const endless: Record<string, unknown> = { type: 'object', required: ['a'], properties: {} };
    endless['properties'] = { a: endless };
    expect(JSON.stringify(sampleArguments(endless)).length).toBeLessThan(100);
    expect(sampleArguments('nonsense')).toEqual({});
  });
});

describe('what was refused', () => {
  it('is read from the errors of Node, plain or inside JSON', verifies('adopt.report'), () => {
    const text = [
      `Error: EROFS: read-only file system, open '/skill/server/memory.jsonl'`,
      JSON.stringify({ text: `ENOENT: no such file or directory, scandir '/home/ada/x'` }),
      `getaddrinfo ENOTFOUND API.example.org`,
      'getaddrinfo EAI_AGAIN db.example.org',
      'spawn git ENOENT',
    ].join('\n');
    expect(refusalsIn(text)).toEqual({
      paths: [
        { path: '/skill/server/memory.jsonl', mode: 'rw' },
        { path: '/home/ada/x', mode: 'r' },
      ],
      hosts: [{ host: 'api.example.org' }, { host: 'db.example.org' }],
      programs: ['git'],
    });
  });
});

describe('calls of the user', () => {
  it('belong to a server, or to all', async () => {
    const calls = readCalls('[{"server":"a","tool":"x","arguments":{"n":1}},{"tool":"y"}]', 'calls.json');
    expect(calls('a')).toEqual([
      { tool: 'x', arguments: { n: 1 } },
      { tool: 'y', arguments: {} },
    ]);
    expect(calls('b')).toEqual([{ tool: 'y', arguments: {} }]);
    await expectCode(() => readCalls('[]', 'calls.json'), 'usage-invalid');
    await expectCode(() => readCalls('[{"tool":1}]', 'calls.json'), 'usage-invalid');
    await expectCode(() => readCalls('nonsense', 'calls.json'), 'usage-invalid');
  });
});

describe('names', () => {
  it('of servers become names of skills, each once', () => {
    const names = namesOf(['My Files!', 'my-files', 'Überweisung', '日本', '日本', '-', 'x'.repeat(99)]);
    expect(names.slice(0, 6)).toEqual([
      'my-files',
      'my-files-2',
      'u-berweisung',
      'server',
      'server-2',
      'server-3',
    ]);
    for (const name of names) expect(nameSchema.safeParse(`local.adopted/${name}`).success).toBe(true);
  });
});

describe('a command line behind --', () => {
  const given = async (...argv: string[]) => {
    const invocation = await buildProgram().parse(argv);
    return 'command' in invocation ? invocation.given : undefined;
  };

  it('is taken word by word, and keeps its own flags', async () => {
    expect(await given('adopt', '--dry-run', '--', 'npx', '-y', 'pkg', '--json', '--', 'x')).toMatchObject({
      config: undefined,
      command: ['npx', '-y', 'pkg', '--json', '--', 'x'],
      dryRun: true,
    });
    expect(await given('adopt', 'mcp.json')).toMatchObject({ config: 'mcp.json', command: [] });
    expect(await given('adopt', 'mcp.json', '--', 'x')).toMatchObject({ config: 'mcp.json', command: ['x'] });
    expect(await given('adopt')).toMatchObject({ config: undefined, command: [] });
  });

  it('without the dashes is refused', async () => {
    await expect(given('adopt', 'npx', 'pkg')).rejects.toThrow('behind --');
    await expect(given('adopt', 'a', 'b', '--', 'c')).rejects.toThrow('behind --');
  });
});
