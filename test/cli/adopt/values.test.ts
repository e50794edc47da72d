import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { filled, filledWay, inputsOf, variablesIn } from '../../../cli/adopt/references.ts';
import { isSecretName, isSecretValue } from '../../../cli/adopt/secret-like.ts';
import { type Given, type Look, valuesOf } from '../../../cli/adopt/values.ts';
import { expectCode } from '../../support/expect-code.ts';
import { verifies } from '../../support/verifies.ts';

const FOLDERS = ['/home/ada', '/home/ada/notes', '/home/ada/db', '/tmp', '/'];
const FILES = ['/home/ada/db/a.sqlite', '/home/ada/list.txt', '/tmp/x.json'];
const look: Look = (path) => (FOLDERS.includes(path) ? 'folder' : FILES.includes(path) ? 'file' : 'nothing');
const values = (given: Partial<Given>) =>
  valuesOf({ args: [], env: {}, cwd: '/home/ada', userHome: '/home/ada', known: [], ...given }, look);

describe('arguments', () => {
  it('that are folders become bindings, the first one the workspace', verifies('adopt.least'), () => {
    const { args, folders } = values({
      args: ['serve', '/home/ada/notes/', '--db=/home/ada/db', './notes', '~/db'],
    });
    expect(folders).toEqual([
      { root: '${workspace}', path: '/home/ada/notes', from: 'argument 2' },
      { root: '${config.folder1}', path: '/home/ada/db', from: '--db' },
    ]);
    expect(args).toEqual([
      ['', 'serve'],
      ['', { folder: '${workspace}' }],
      ['--db=', { folder: '${config.folder1}' }],
      ['', { folder: '${workspace}' }],
      ['', { folder: '${config.folder1}' }],
    ]);
  });

  it('that are files, there or about to be, bind the folder they lie in', verifies('adopt.least'), () => {
    const { args, folders } = values({ args: ['--db', '/home/ada/db/a.sqlite', '/home/ada/notes/new.json'] });
    expect(folders.map(({ root, path }) => [root, path])).toEqual([
      ['${config.folder1}', '/home/ada/db'],
      ['${config.folder2}', '/home/ada/notes'],
    ]);
    expect(args[1]).toEqual(['', { folder: '${config.folder1}' }, '/a.sqlite']);
    expect(folders[0]?.from).toBe('--db');
  });

  it.each([['/home/ada/list.txt'], ['/tmp/x.json'], ['/home/ada/new.txt']])(
    'that are one file in a folder of everything are refused: %s',
    verifies('adopt.least'),
    async (file) => {
      await expectCode(() => values({ args: [file] }), 'not-adoptable');
    },
  );

  it('that lead nowhere stay as they are', () => {
    expect(values({ args: ['/api/v1', 'stdio'] })).toMatchObject({
      args: [
        ['', '/api/v1'],
        ['', 'stdio'],
      ],
      folders: [],
    });
  });

  it.each([
    [['--api-key', 'short']],
    [['--api-key=short']],
    [['sk-abcdefghijklmnop']],
    [['postgres://ada:geheim@db.example.org/x']],
    [['--mode', 'known-canary']],
  ])('that hold secrets become references: %j', verifies('adopt.secrets'), (args) => {
    const found = values({ args, known: ['known-canary'] });
    expect(Object.values(found.secrets)).toHaveLength(1);
    const [secret = ''] = Object.values(found.secrets);
    expect(JSON.stringify(found.args)).not.toContain(secret);
  });

  it('with a reference of manifests in them are refused', async () => {
    await expectCode(() => values({ args: ['${data}'] }), 'not-adoptable');
  });

  it('name hosts by addresses, also those with a password; not this machine', verifies('adopt.least'), () => {
    const { hosts } = values({
      args: [
        'https://api.example.org/v1',
        'postgres://ada:geheim@db.example.org/x',
        'http://localhost:3000',
        'https://10.0.0.1/',
      ],
      env: { BASE: 'http://api.example.org:8080', SAME: 'https://api.example.org' },
    });
    expect(hosts).toEqual([
      { host: 'api.example.org', port: 443, protocol: 'tls' },
      { host: 'db.example.org', port: 5432, protocol: 'tcp' },
      { host: 'api.example.org', port: 8080, protocol: 'http' },
    ]);
  });
});

describe('variables', () => {
  it(
    'are secrets by name or look, settings otherwise, and left out where they steer',
    verifies('adopt.secrets'),
    () => {
      const found = values({
        env: {
          GITHUB_PERSONAL_ACCESS_TOKEN: 'abc',
          ODD: 'ghp_0123456789abcdefghijABCDEFGHIJ012345',
          LOG_LEVEL: 'debug',
          NODE_OPTIONS: '--require /tmp/x.js',
          PATH: '/usr/bin',
          NOTES: '/home/ada/notes',
        },
      });
      expect(Object.keys(found.secrets)).toEqual(['GITHUB_PERSONAL_ACCESS_TOKEN', 'ODD']);
      expect(found.config).toEqual({ LOG_LEVEL: 'debug' });
      expect(found.env['NOTES']).toEqual([{ folder: '${config.folder1}' }]);
      expect(found.leftOut).toHaveLength(2);
      expect(Object.keys(found.env)).not.toContain('NODE_OPTIONS');
    },
  );

  it.each([
    'API_KEY',
    'apiKey',
    'api-key',
    'DB_PASSWORD',
    'pwd',
    'SLACK_BOT_TOKEN',
    'CLIENT_SECRET',
    'githubToken',
    'PASS',
  ])('%s names a secret', verifies('adopt.secrets'), (name) => expect(isSecretName(name)).toBe(true));
  it.each(['KEYBOARD', 'TOKEN_LIMIT', 'MONKEY', 'KEY_FILE', 'LOG_LEVEL', 'COMPASS', 'AUTHOR'])(
    '%s names none',
    (name) => expect(isSecretName(name)).toBe(false),
  );
  it.each([
    'sk-proj-abc',
    'xoxb-1-2-abc',
    'AKIAIOSFODNN7EXAMPLE',
    'eyJhbGciOi.x.y',
    'f3a9c01d77be42a19c0e5d6b8f21a4c3',
    'redis://:pw@h/0',
  ])('%s looks like a secret', verifies('adopt.secrets'), (value) => expect(isSecretValue(value)).toBe(true));
  it.each([
    '@modelcontextprotocol/server-memory',
    'production',
    'https://example.org/a',
    'streamable-http-transport',
    '20261127',
    'a b c d e f g h i j 1 2',
  ])('%s does not', (value) => expect(isSecretValue(value)).toBe(false));
});

describe('references in settings', () => {
  const around = {
    environment: { TOKEN: 'from-env', EMPTY: '' },
    userHome: '/home/ada',
    workspaceFolder: '/work/app',
    inputs: { key: '${TOKEN}' },
  };

  it.each([
    ['${TOKEN}', 'from-env'],
    ['Bearer ${env:TOKEN}', 'Bearer from-env'],
    ['${NONE:-a:-b}', 'a:-b'],
    ['${EMPTY:-x}', 'x'],
    ['${workspaceFolder}/${workspaceFolderBasename}${/}x', '/work/app/app/x'],
    ['${userHome}${pathSeparator}y', '/home/ada/y'],
    ['${input:key}', '${TOKEN}'],
    ['$TOKEN ${}', undefined],
  ])('%s are filled once', verifies('adopt.configs'), async (text, expected) => {
    if (expected === undefined) await expectCode(() => filled(text, around), 'config-invalid');
    else expect(filled(text, around)).toBe(expected);
  });

  it('without a value name what is missing, and never another value', verifies('adopt.configs'), async () => {
    const input = await expectCode(() => filled('${input:other}', around), 'binding-missing');
    expect(input.hint).toContain('--secret other=env:');
    const variable = await expectCode(() => filled('${env:constructor}', around), 'binding-missing');
    expect(variable.message).toContain('constructor');
    await expectCode(() => filled('${command:pick}', around), 'config-invalid');
  });

  it('are filled everywhere in a server', () => {
    const way = {
      kind: 'local' as const,
      command: '${userHome}/bin/x',
      args: ['${input:key}'],
      env: { A: '${TOKEN}', B: 'own' },
      passedOn: ['TOKEN', 'B', 'UNSET'],
      envFiles: ['${workspaceFolder}/.env'],
      cwd: '${workspaceFolder}',
    };
    expect(inputsOf(way)).toEqual(['key']);
    expect(
      filledWay({ ...way, env: { ...way.env } }, { ...around, environment: { TOKEN: 't', B: 'outer' } }),
    ).toMatchObject({
      command: '/home/ada/bin/x',
      env: { A: 't', B: 'own', TOKEN: 't' },
      envFiles: ['/work/app/.env'],
      cwd: '/work/app',
    });
  });

  it('in files of variables are lines', () => {
    expect(variablesIn('# no\nexport A=1\nB="x # y"\n C = z # no\nbad line\n')).toEqual({
      A: '1',
      B: 'x # y',
      C: 'z',
    });
  });
});

describe('whatever the settings say', () => {
  it('no secret of a known value is left in what goes into the package', verifies('adopt.secrets'), () => {
    const word = fc.string({ maxLength: 12 }).filter((text) => !text.includes('${'));
    fc.assert(
      fc.property(fc.array(word, { maxLength: 5 }), word, word, (args, before, after) => {
        const secret = 'canary-of-a-secret';
        const given = {
          args: [...args, `${before}${secret}${after}`],
          env: { PLAIN: `${after}${secret}` },
          known: [secret],
        };
        const { secrets: _kept, ...rest } = values(given);
        expect(JSON.stringify(rest)).not.toContain(secret);
      }),
    );
  });
});
