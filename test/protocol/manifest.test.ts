import { readFile } from 'node:fs/promises';
import { Ajv2020 } from 'ajv/dist/2020.js';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MAX_FAULTS, type Fault } from '../../protocol/faults.ts';
import {
  MANIFEST_LIMITS,
  manifestJsonSchema,
  manifestSchema,
  nameSchema,
  parseManifest,
  splitName,
} from '../../protocol/manifest.ts';
import { normalise } from '../../protocol/permissions.ts';
import { expectCode } from '../support/expect-code.ts';
import { verifies } from '../support/verifies.ts';

const least = {
  name: 'com.acme/weather',
  version: '1.0.0',
  title: 'Weather',
  description: 'Forecasts for a place.',
  license: 'Apache-2.0',
  runtime: { kind: 'node', entry: 'server/index.ts', protocol: '2026-07-28' },
};

const full = {
  ...least,
  $schema: 'https://berth.dev/schema/skill.v1.json',
  repository: { url: 'https://git.acme.com/weather', subfolder: '.' },
  keywords: ['weather'],
  categories: ['data'],
  runtime: { ...least.runtime, args: ['--in', '${workspace}', '--units=${config.units}'] },
  files: ['assets'],
  config: {
    units: { type: 'string', title: 'Units', enum: ['metric', 'us'], default: 'metric' },
    host: { type: 'string', title: 'Station' },
    archive: { type: 'directory', title: 'Archive' },
  },
  permissions: {
    network: [
      { host: 'api.weather.gov', ports: [443], protocol: 'tls', reason: 'forecasts' },
      { host: '${config.host}', ports: [8443] },
    ],
    filesystem: [
      { path: '${workspace}', mode: 'rw', reason: 'reports' },
      { path: '${config.archive}/old', mode: 'r' },
    ],
    secrets: [{ name: 'WEATHER_KEY', required: true, inject: 'header:api.weather.gov:X-Api-Key' }],
    env: ['TZ'],
    subprocess: [{ exec: 'git', reason: 'history' }],
    background: false,
    mcp: { sampling: false, elicitation: true, roots: false },
    resources: { memoryMb: 512, cpus: 0.5 },
  },
  tools: {
    delete_note: {
      effects: ['destroy'],
      reversible: true,
      preview: { argument: 'dryRun' },
      idempotencyKey: 'requestId',
      compensate: { tool: 'restore_note', args: { id: '$.id' } },
    },
  },
};

async function faultsOf(manifest: unknown): Promise<Fault[]> {
  const error = await expectCode(() => parseManifest(JSON.stringify(manifest)), 'manifest-invalid');
  return error.data?.['faults'] as Fault[];
}

/** The paths at fault of an otherwise good manifest. */
async function pathsOf(changes: object): Promise<string[]> {
  return (await faultsOf({ ...full, ...changes })).map(({ path }) => path);
}

const withPermissions = (changes: object) => ({ permissions: { ...full.permissions, ...changes } });

describe('a good manifest', () => {
  it('may be short: what is absent is not asked for', () => {
    const manifest = parseManifest(JSON.stringify(least));
    expect(manifest).toMatchObject({ keywords: [], files: [], config: {}, tools: {}, runtime: { args: [] } });
    expect(normalise(manifest.permissions)).toEqual(normalise({}));
  });

  it('keeps what its author wrote, and reads the same the second time', () => {
    const manifest = parseManifest(Buffer.from(JSON.stringify(full)));
    expect(manifest).toMatchObject(full);
    expect(manifestSchema.parse(manifest)).toEqual(manifest);
  });

  it.each([
    [{ kind: 'prompt-only' }, {}],
    [
      { kind: 'remote', url: 'https://mcp.acme.com/v1', protocol: '2025-06-18' },
      {
        network: [{ host: '*.acme.com' }],
        secrets: [{ name: 'K', inject: 'header:mcp.acme.com:Authorization' }],
      },
    ],
    [{ kind: 'binary', entry: 'bin/server', protocol: '2024-11-05' }, {}],
    [{ kind: 'python', entry: 'server/main.py', protocol: '2025-11-25' }, {}],
  ])('may run as %j', (runtime, permissions) => {
    expect(parseManifest(JSON.stringify({ ...least, runtime, permissions })).runtime).toMatchObject(runtime);
  });

  it('splits its name', () => {
    expect(splitName('com.acme/weather')).toEqual({ namespace: 'com.acme', name: 'weather' });
  });
});

describe('a name', () => {
  it.each(['com.acme/weather', 'local.me/hello', 'dev.berth/files', 'io.github.a-b/c-d-9', 'a.9x/0'])(
    'may be %s',
    (name) => {
      expect(nameSchema.safeParse(name).success).toBe(true);
    },
  );

  it.each([
    'weather',
    'acme/weather',
    'com.acme/a/b',
    'Com.acme/weather',
    'com.acme/weather_x',
    'com..acme/x',
    'com.acme/',
    '/x',
    '1com.acme/x',
    'com.-acme/x',
    'com.acme/x--y',
    'com.acme/../x',
    'com.acme/x\n',
    `com.${'a'.repeat(64)}/x`,
    `com.acme/${'a'.repeat(65)}`,
  ])('is not %j', (name) => {
    expect(nameSchema.safeParse(name).success).toBe(false);
  });

  it('fits the pattern that editors are given exactly when it is short enough to be a name', () => {
    const name = manifestJsonSchema().properties?.['name'];
    const pattern = typeof name === 'object' ? String(name.pattern) : '';
    expect(pattern).toContain('/');
    const piece = fc.string({ unit: fc.constantFrom('a', 'b', '1', '-', '.', '/', 'A', '_'), maxLength: 12 });
    fc.assert(
      fc.property(piece, piece, (left, right) => {
        const text = `${left}/${right}`;
        expect(new RegExp(pattern, 'u').test(text)).toBe(nameSchema.safeParse(text).success);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('a bad manifest', () => {
  it('is answered with every fault, its place and its remedy', verifies('manifest.faults'), async () => {
    const faults = await faultsOf({
      nam: 'com.acme/weather',
      version: 'v1',
      title: 'a\u202eb',
      description: 'd'.repeat(101),
      runtime: { kind: 'nod' },
      permisions: {},
      permissions: {
        network: [{ host: '*.co.uk', port: 3 }, { host: '${config.nowhere}' }],
        filesystem: [{ path: '/etc', mode: 'w' }],
        env: ['NODE_OPTIONS'],
        resources: { memoryMb: 1e9 },
      },
      tools: { ok: { effects: [] } },
    });
    expect(new Map(faults.map(({ path, remedy }) => [path, remedy]))).toEqual(
      new Map([
        ['name', 'Add a string here.'],
        ['version', expect.stringContaining('1.0.0')],
        ['title', 'Write one line of visible text.'],
        ['description', 'Use 100 characters at most.'],
        ['license', 'Add a string here.'],
        ['runtime.kind', 'Did you mean "node"?'],
        ['permissions.network[0].host', expect.stringContaining('one owner')],
        ['permissions.network[0].port', 'Did you mean "ports"?'],
        ['permissions.network[1].host', 'Add "nowhere" to config.'],
        ['permissions.filesystem[0].path', expect.stringContaining('${workspace}')],
        ['permissions.filesystem[0].mode', expect.stringMatching(/Use one of|Did you mean/)],
        ['permissions.env[0]', expect.stringContaining('variable of your own')],
        ['permissions.resources.memoryMb', 'Use 16384 at most.'],
        ['tools.ok.effects', expect.stringContaining('Fill it')],
        ['nam', 'Did you mean "name"?'],
        ['permisions', 'Did you mean "permissions"?'],
      ]),
    );
    for (const { problem, remedy } of faults) expect(problem !== '' && remedy !== '').toBe(true);
  });

  it('names the first fault in its message', verifies('manifest.faults'), async () => {
    const { version: _version, ...rest } = least;
    const error = await expectCode(() => parseManifest(JSON.stringify(rest)), 'manifest-invalid');
    expect(error.message).toBe('skill.json has one fault: version is missing.');
    expect(error.hint).toBe('Add a string here.');
  });

  it.each([
    ['an array', [], 'is an array, but must be an object'],
    ['a string', 'x', 'is a string, but must be an object'],
    ['null', null, 'is null, but must be an object'],
  ])('may be %s', verifies('manifest.faults'), async (_, value, problem) => {
    expect(await faultsOf(value)).toEqual([{ path: '', problem, remedy: 'Write an object.' }]);
  });

  it('never makes the reader fail in another way', verifies('manifest.faults'), async () => {
    await fc.assert(
      fc.asyncProperty(fc.json({ maxDepth: 4 }), async (text) => {
        await expectCode(() => parseManifest(text), 'manifest-invalid');
      }),
      { numRuns: 200 },
    );
    const somewhere = fc.constantFrom(
      'name',
      'runtime',
      'config',
      'permissions',
      'tools',
      'files',
      'repository',
    );
    const inside = fc.constantFrom('network', 'filesystem', 'secrets', 'env', 'args', 'kind', 'url', 'units');
    await fc.assert(
      fc.asyncProperty(somewhere, inside, fc.jsonValue({ maxDepth: 3 }), async (field, member, value) => {
        await expectCode(
          () => parseManifest(JSON.stringify({ ...full, name: 1, [field]: { [member]: value } })),
          'manifest-invalid',
        );
      }),
      { numRuns: 200 },
    );
  });

  it.each([
    [
      'unknown fields',
      Object.fromEntries(Array.from({ length: 3000 }, (_, i) => [`${i}`.padEnd(64, 'x'), 1])),
    ],
    ['open references', { runtime: { ...full.runtime, args: ['${'.repeat(120_000)] } }],
    ['host labels', { permissions: { network: [{ host: 'a.'.repeat(120_000) }] } }],
    ['colons', { permissions: { secrets: [{ name: 'K', inject: `header:${':'.repeat(240_000)}` }] } }],
    ['hyphens', { name: `com.${'a-'.repeat(120_000)}/x` }],
    ['folders', { permissions: { filesystem: [{ path: `\${data}${'/a'.repeat(120_000)}` }] } }],
    ['wrong entries', { keywords: Array.from({ length: 60_000 }, () => 1) }],
  ])('made of %s is answered in bounded space and time', verifies('manifest.faults'), async (_, changes) => {
    const start = performance.now();
    const faults = await faultsOf({ ...least, ...changes });
    expect(faults.length).toBeGreaterThan(0);
    expect(faults.length).toBeLessThanOrEqual(MAX_FAULTS);
    expect(performance.now() - start).toBeLessThan(3000);
  });
});

describe('one text, one meaning', () => {
  const text = JSON.stringify(least);

  it.each([
    ['a name that occurs twice', `{"version":"2.0.0",${text.slice(1)}`, 'version', 'is there twice'],
    [
      'a name spelled with an escape',
      `{"vers\\u0069on":"2.0.0",${text.slice(1)}`,
      'version',
      'is there twice',
    ],
    ['a byte order mark', `\ufeff${text}`, '', 'begins with a byte order mark'],
    ['a comment', `{/* */${text.slice(1)}`, '', 'is not JSON: line 1, column 2'],
    ['a trailing comma', `${text.slice(0, -1)},\n}`, '', 'is not JSON: line 2, column 1'],
    ['half a surrogate pair', text.replace('Weather', '\\ud83d'), 'title', 'holds half a surrogate pair'],
    ['nothing', '', '', 'is not JSON: it ends too early'],
  ])('refuses %s', verifies('manifest.one-meaning'), async (_, bytes, path, problem) => {
    const error = await expectCode(() => parseManifest(bytes), 'manifest-invalid');
    expect(error.data?.['faults']).toContainEqual(expect.objectContaining({ path, problem }));
  });

  it('refuses bytes that are not UTF-8', verifies('manifest.one-meaning'), async () => {
    const bytes = Buffer.concat([Buffer.from(text.slice(0, -1)), Buffer.from([0xff, 0x7d])]);
    await expectCode(() => parseManifest(bytes), 'manifest-invalid');
  });

  it('refuses what is too deep or too long, quickly', verifies('manifest.one-meaning'), async () => {
    const deep = '['.repeat(100_000) + ']'.repeat(100_000);
    const error = await expectCode(() => parseManifest(deep), 'manifest-invalid');
    expect(error.message).toContain('nested more than 16 deep');
    await expectCode(() => parseManifest(`${text}${' '.repeat(MANIFEST_LIMITS.bytes)}`), 'manifest-invalid');
  });

  it('lets braces, commas and quotes be inside texts', () => {
    const title = 'a "{[,]}" \\ b: c';
    expect(parseManifest(JSON.stringify({ ...least, title })).title).toBe(title);
  });
});

describe('what a manifest cannot ask for', () => {
  it.each([
    'LD_PRELOAD',
    'DYLD_INSERT_LIBRARIES',
    'NODE_OPTIONS',
    'node_options',
    'PATH',
    'PYTHONPATH',
    'HOME',
    'BERTH_HOME',
    'BASH_ENV',
    'GIT_SSH_COMMAND',
    '1X',
    'A=B',
    '',
  ])('the variable %j', verifies('manifest.tight'), async (name) => {
    expect(await pathsOf(withPermissions({ env: [name] }))).toEqual(['permissions.env[0]']);
    const secrets = [{ name, inject: 'env' }];
    expect(await pathsOf(withPermissions({ secrets }))).toEqual(['permissions.secrets[0].name']);
  });

  it.each(['/bin/sh', '../x', '-rf', 'a b', 'git;ls', '', '.'])(
    'the program %j',
    verifies('manifest.tight'),
    async (exec) => {
      expect(await pathsOf(withPermissions({ subprocess: [{ exec }] }))).toEqual([
        'permissions.subprocess[0].exec',
      ]);
    },
  );

  it.each(['/server/index.ts', '../index.ts', './index.ts', 'a//b', 'C:/x', 'a\\b', '', 'é.ts'])(
    'the entry %j',
    verifies('manifest.tight'),
    async (entry) => {
      expect(await pathsOf({ runtime: { ...full.runtime, entry } })).toEqual(['runtime.entry']);
      expect(await pathsOf({ files: [entry] })).toEqual(['files[0]']);
    },
  );

  it.each(['http://x.org', 'https://u:p@x.org', 'https://x.org/#a', 'file:///etc/passwd', 'x.org'])(
    'the address %s',
    verifies('manifest.tight'),
    async (url) => {
      const permissions = { network: [{ host: 'x.org' }] };
      const runtime = { kind: 'remote', url, protocol: '2025-06-18' };
      expect(await pathsOf({ runtime, permissions, config: {} })).toContain('runtime.url');
    },
  );

  it.each([[0], [65_536], [1.5], ['443']])('the port %j', verifies('manifest.tight'), async (port) => {
    expect(
      await pathsOf(
        withPermissions({ network: [...full.permissions.network, { host: 'x.org', ports: [port] }] }),
      ),
    ).toEqual(['permissions.network[2].ports[0]']);
  });

  it('tcp without saying which port', verifies('manifest.tight'), async () => {
    const network = [...full.permissions.network, { host: 'x.org', protocol: 'tcp' }];
    expect(await pathsOf(withPermissions({ network }))).toEqual(['permissions.network[2].ports']);
  });

  it.each([
    'stdin',
    'header:x.org',
    'header:elsewhere.org:X-Key',
    'header:*.weather.gov:X-Key',
    'header:api.weather.gov:Host',
    'header:api.weather.gov:Transfer-Encoding',
    'header:api.weather.gov:X Key',
    'header:api.weather.gov:',
  ])('a secret injected by %j', verifies('manifest.tight'), async (inject) => {
    const paths = await pathsOf(withPermissions({ secrets: [{ name: 'K', inject }] }));
    expect(new Set(paths)).toEqual(new Set(['permissions.secrets[0].inject']));
  });

  it('names that every JavaScript object has', verifies('manifest.tight'), async () => {
    expect(await pathsOf({ tools: { constructor: { effects: ['read'] } } })).toEqual(['tools.constructor']);
    const proto = JSON.stringify(full).replace('"delete_note"', '"__proto__"');
    await expectCode(() => parseManifest(proto), 'manifest-invalid');
  });
});

describe('parts that do not fit each other', () => {
  it.each([
    [
      'a host of an undeclared setting',
      withPermissions({ network: [{ host: '${config.x}' }], secrets: [] }),
      'permissions.network[0].host',
    ],
    [
      'a host from a folder',
      withPermissions({ network: [{ host: '${config.archive}' }], secrets: [] }),
      'permissions.network[0].host',
    ],
    [
      'a folder from a text',
      withPermissions({ filesystem: [{ path: '${config.units}', mode: 'r' }] }),
      'permissions.filesystem[0].path',
    ],
    [
      'an argument of an undeclared setting',
      { runtime: { ...full.runtime, args: ['${config.x}'] } },
      'runtime.args[0]',
    ],
    [
      'an argument from the environment',
      { runtime: { ...full.runtime, args: ['a', '${HOME}'] } },
      'runtime.args[1]',
    ],
    [
      'a secret declared twice',
      withPermissions({ secrets: [{ name: 'K' }, { name: 'K', inject: 'file' }] }),
      'permissions.secrets[1].name',
    ],
    [
      'a secret that is passed through, too',
      withPermissions({ secrets: [{ name: 'TZ' }] }),
      'permissions.secrets[0].name',
    ],
    [
      'settings that differ in case',
      { config: { ...full.config, Units: full.config.units } },
      'config.Units',
    ],
    [
      'a default of another type',
      { config: { ...full.config, units: { type: 'number', title: 'U', default: 'x' } } },
      'config.units.default',
    ],
    [
      'a default outside of enum',
      { config: { ...full.config, units: { ...full.config.units, default: 'x' } } },
      'config.units.default',
    ],
    [
      'an enum of another type',
      { config: { ...full.config, units: { type: 'boolean', title: 'U', enum: [1] } } },
      'config.units.enum[0]',
    ],
    [
      'a default folder',
      { config: { ...full.config, archive: { type: 'directory', title: 'A', default: '/srv' } } },
      'config.archive.default',
    ],
    ['a keyword twice', { keywords: ['a', 'a'] }, 'keywords'],
  ])('%s', verifies('manifest.faults'), async (_, changes, path) => {
    expect(await pathsOf(changes)).toEqual([path]);
  });

  it('a prompt-only skill asks for nothing', verifies('manifest.faults'), async () => {
    expect(await pathsOf({ runtime: { kind: 'prompt-only' } })).toEqual([
      'permissions.network',
      'permissions.filesystem',
      'permissions.secrets',
      'permissions.env',
      'permissions.subprocess',
      'tools',
    ]);
  });

  it('only a skill of which a process runs here is stateless', verifies('manifest.faults'), async () => {
    expect(parseManifest(JSON.stringify({ ...full, stateless: true })).stateless).toBe(true);
    expect(parseManifest(JSON.stringify(full))).not.toHaveProperty('stateless');
    expect(await pathsOf({ runtime: { kind: 'prompt-only' }, stateless: true })).toContain('stateless');
    expect(await pathsOf({ runtime: { kind: 'prompt-only' }, stateless: false })).not.toContain('stateless');
    expect(await pathsOf({ stateless: 'yes' })).toEqual(['stateless']);
  });

  it(
    'a remote skill asks for its own host, and for nothing of this machine',
    verifies('manifest.faults'),
    async () => {
      const runtime = { kind: 'remote', url: 'https://mcp.acme.com:8443/', protocol: '2025-06-18' };
      const secrets = [{ name: 'K', inject: 'env' }];
      expect(await pathsOf({ runtime, ...withPermissions({ secrets }) })).toEqual([
        'permissions.filesystem',
        'permissions.env',
        'permissions.subprocess',
        'permissions.secrets[0].inject',
        'runtime.url',
      ]);
    },
  );
});

describe('the JSON Schema', () => {
  it('in docs is the current one', verifies('manifest.schema-fresh'), async () => {
    const file = await readFile(new URL('../../docs/skill.schema.json', import.meta.url), 'utf8');
    expect(JSON.parse(file), 'docs/skill.schema.json is out of date: run `npm run docs`').toEqual(
      manifestJsonSchema(),
    );
  });

  it('accepts what the reader accepts', verifies('manifest.schema-fresh'), () => {
    const validate = new Ajv2020({ strict: false }).compile(manifestJsonSchema());
    for (const manifest of [least, full])
      expect(validate(manifest), JSON.stringify(validate.errors)).toBe(true);
    expect(validate({ ...least, permisions: {} })).toBe(false);
    expect(validate({ ...least, name: 'weather' })).toBe(false);
  });
});
