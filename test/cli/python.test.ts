import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkSkill } from '../../cli/check.ts';
import { readSettings } from '../../cli/config.ts';
import { initSkill } from '../../cli/init.ts';
import { packSkill } from '../../cli/pack.ts';
import { readRequirements } from '../../cli/requirements-lock.ts';
import { openSandbox } from '../../cli/sandbox.ts';
import { misfit, readWheelName } from '../../cli/wheels.ts';
import type { SandboxDriver } from '../../hub/sandbox/sandbox.ts';
import { expectCode } from '../support/expect-code.ts';
import { pythonSkill, wheel, type WheelEntry } from '../support/python-skill.ts';
import { tempFolder } from '../support/temp-folder.ts';
import { verifies } from '../support/verifies.ts';

const HASH = `--hash=sha256:${'ab'.repeat(32)}`;
const TOOLS = 'TOOLS = {"greet": lambda args: "hello"}';

/** One sandbox for all: looking at the machine takes longer than packing. */
let made: SandboxDriver | undefined;
let home: string;
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'berth-python-'));
});
afterAll(() => rm(home, { recursive: true, force: true }));
async function driver(): Promise<SandboxDriver> {
  made ??= await openSandbox({ home, settings: readSettings({ PATH: process.env['PATH'] }) });
  return made;
}

async function withWheel(
  file: string,
  entries: Record<string, WheelEntry>,
  main: string = TOOLS,
): Promise<string> {
  const { bytes, locked } = await wheel(file, entries);
  return pythonSkill(main, { [`wheels/${file}`]: bytes, 'requirements.lock': locked });
}

const pathsOf = (files: readonly { path: string }[]) => files.map(({ path }) => path).toSorted();

describe('a lock', () => {
  it('is read as pip and pip-compile write it', verifies('cli.pack-python'), () => {
    const text = `# made by pip-compile
--index-url https://pypi.org/simple
Foo_Bar[extra]==1.2.3 \\
    ${HASH} \\
    --hash=sha256:${'cd'.repeat(32)}
    # via somebody
baz == 2.0+local ; python_version >= "3.8" ${HASH}
`;
    expect(readRequirements(text)).toEqual([
      {
        name: 'foo-bar',
        version: '1.2.3',
        conditional: false,
        hashes: new Set(['ab'.repeat(32), 'cd'.repeat(32)]),
      },
      { name: 'baz', version: '2.0_local', conditional: true, hashes: new Set(['ab'.repeat(32)]) },
    ]);
  });

  it.each([
    `foo>=1.0 ${HASH}`,
    `foo ${HASH}`,
    'foo==1.0',
    `foo==1.0 --hash=md5:${'ab'.repeat(16)}`,
    `foo @ https://example.org/foo.whl ${HASH}`,
    '-r other.txt',
    '--requirement other.txt',
    '-e .',
    `foo==1.0 ${HASH}\nFOO==1.1 ${HASH}`,
  ])('%j is refused', verifies('cli.pack-python'), async (line) => {
    await expectCode(async () => readRequirements(line), 'pack-failed');
  });
});

describe('a wheel', () => {
  const target = { python: '3.11.2', arch: 'x64' };
  it.each([
    ['a-1-py3-none-any.whl', true],
    ['a-1-py2.py3-none-any.whl', true],
    ['a-1-py311-none-any.whl', true],
    ['a-1-py312-none-any.whl', false],
    ['a-1-1build-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl', true],
    ['a-1-cp310-cp310-manylinux_2_17_x86_64.whl', false],
    ['a-1-cp38-abi3-manylinux_2_17_x86_64.whl', true],
    ['a-1-cp312-abi3-manylinux_2_17_x86_64.whl', false],
    ['a-1-cp311-cp311-manylinux_2_17_aarch64.whl', false],
    ['a-1-cp311-cp311-musllinux_1_1_x86_64.whl', false],
    ['a-1-cp311-cp311-win_amd64.whl', false],
    ['a-1-cp311-cp311-macosx_11_0_arm64.whl', false],
  ])('%s fits here: %s', verifies('cli.pack-python'), (file, fits) => {
    expect(misfit(readWheelName(file), target) === undefined).toBe(fits);
  });

  it('without the name of one is refused', verifies('cli.pack-python'), async () => {
    for (const file of ['a.whl', 'a-1.whl', 'a-1-py3-none-any.zip', 'a-1-b-c-py3-none-any.whl'])
      await expectCode(async () => readWheelName(file), 'pack-failed');
  });
});

describe('packing a Python skill', () => {
  it(
    'takes its modules and the packages of its wheels, no bytecode, and gives the same bytes again',
    verifies('cli.pack-python', 'archive.deterministic'),
    async () => {
      const folder = await withWheel(
        'tiny-1.0-py3-none-any.whl',
        {
          'tiny/__init__.py': 'WORD = "from the wheel"\n',
          'tiny/__pycache__/__init__.cpython-311.pyc': 'x',
          'tiny/tool': { hex: '00', mode: 0o100755 },
          'tiny-1.0.dist-info/METADATA': 'Name: tiny\nVersion: 1.0\n',
          'tiny-1.0.data/purelib/more.py': '',
          'tiny-1.0.data/scripts/tiny': '#!python\n',
        },
        'import tiny\nTOOLS = {tiny.WORD.replace(" ", "_"): lambda args: tiny.WORD}',
      );
      await mkdir(join(folder, 'server/deep/__pycache__'), { recursive: true });
      await writeFile(join(folder, 'server/deep/module.py'), '');
      await writeFile(join(folder, 'server/notes.txt'), 'not code');
      await writeFile(join(folder, 'server/deep/__pycache__/module.cpython-311.pyc'), '');
      const packed = await packSkill({ driver: await driver() }, folder);
      expect(pathsOf(packed.files)).toEqual([
        'requirements.lock',
        'server/deep/module.py',
        'server/main.py',
        'server/rpc.py',
        'server/site/more.py',
        'server/site/tiny-1.0.dist-info/METADATA',
        'server/site/tiny/__init__.py',
        'server/site/tiny/tool',
        'skill.json',
        'surface.json',
      ]);
      expect(packed.files.find(({ path }) => path.endsWith('tiny/tool'))?.mode).toBe(0o755);
      expect(packed.surface.tools.map(({ name }) => name)).toEqual(['from_the_wheel']);
      const again = await packSkill({ driver: await driver() }, folder);
      expect(again.digest).toBe(packed.digest);
    },
  );

  it('needs no wheels, and leaves bytecode out of listed folders', verifies('cli.pack-python'), async () => {
    const folder = await pythonSkill(
      TOOLS,
      { 'assets/__pycache__/x.pyc': '', 'assets/a.txt': '' },
      { files: ['assets'] },
    );
    const { files } = await packSkill({ driver: await driver() }, folder);
    expect(pathsOf(files)).toEqual([
      'assets/a.txt',
      'server/main.py',
      'server/rpc.py',
      'skill.json',
      'surface.json',
    ]);
  });

  it('refuses what its lock does not name, or names otherwise', verifies('cli.pack-python'), async () => {
    const { bytes, locked } = await wheel('tiny-1.0-py3-none-any.whl', { 'tiny.py': '' });
    const path = 'wheels/tiny-1.0-py3-none-any.whl';
    const other = Buffer.from(bytes);
    other.writeUInt8(other.readUInt8(10) ^ 1, 10);
    for (const files of [
      { [path]: bytes },
      { [path]: bytes, 'requirements.lock': '' },
      { [path]: other, 'requirements.lock': locked },
      { [path]: bytes, 'requirements.lock': locked.replace('==1.0', '==1.1') },
      { 'wheels/tiny-1.1-py3-none-any.whl': bytes, 'requirements.lock': locked },
      { [path]: bytes, 'requirements.lock': `${locked}gone==1.0 ${HASH}\n` },
      { [path]: bytes, 'requirements.lock': locked, 'wheels/left.txt': '' },
      { 'server/site/handmade.py': '' },
      { [path]: bytes, 'requirements.lock': locked, 'server/site/tiny.py': 'other' },
    ])
      await expectCode(packSkill({ driver: await driver() }, await pythonSkill(TOOLS, files)), 'pack-failed');
    const missing = await expectCode(
      packSkill({ driver: await driver() }, await pythonSkill(TOOLS, { 'requirements.lock': locked })),
      'pack-failed',
    );
    expect(missing.hint).toContain('pip download');
    // What holds elsewhere only may be missing here.
    const elsewhere = `${locked}gone==1.0 ; sys_platform == "win32" ${HASH}\n`;
    await packSkill(
      { driver: await driver() },
      await pythonSkill(TOOLS, { [path]: bytes, 'requirements.lock': elsewhere }),
    );
  });

  it.each<[string, Record<string, WheelEntry>]>([
    ['climbs out', { '../../evil.py': '' }],
    ['is absolute', { '/evil.py': '' }],
    ['has a backslash', { 'a\\..\\..\\evil.py': '' }],
    ['is a link', { evil: { hex: Buffer.from('/etc/passwd').toString('hex'), mode: 0o120777 } }],
    ['is a device', { evil: { hex: '', mode: 0o020666 } }],
    ['lands outside of the site folder', { 'tiny-1.0.data/data/etc/evil': '' }],
    ['climbs out of its data folder', { 'tiny-1.0.data/purelib/../../../main.py': '' }],
    ['has a name that no package has', { 'tiny/sp{am}.py': '' }],
    ['lies in a folder without a name', { 'tiny-1.0.data/purelib/': '', 'tiny-1.0.data/purelib//a.py': '' }],
  ])('refuses a wheel with a file that %s', verifies('cli.pack-python'), async (_what, entries) => {
    const folder = await withWheel('tiny-1.0-py3-none-any.whl', entries);
    await expectCode(packSkill({ driver: await driver() }, folder), 'pack-failed');
  });

  it('refuses a wheel that is none, or unpacks without end', verifies('cli.pack-python'), async () => {
    const big = { 'big.bin': { hex: '00'.repeat(60 * 1024 * 1024) } };
    const folder = await withWheel('tiny-1.0-py3-none-any.whl', big);
    await expectCode(packSkill({ driver: await driver() }, folder), 'archive-too-large');
    const { createHash } = await import('node:crypto');
    const bytes = Buffer.from('not a zip file at all');
    const locked = `tiny==1.0 --hash=sha256:${createHash('sha256').update(bytes).digest('hex')}\n`;
    const none = { 'wheels/tiny-1.0-py3-none-any.whl': bytes, 'requirements.lock': locked };
    await expectCode(packSkill({ driver: await driver() }, await pythonSkill(TOOLS, none)), 'pack-failed');
  });

  it('tells what Python says of a module that is not there', verifies('cli.pack-python'), async () => {
    const folder = await pythonSkill('import nowhere\nTOOLS = {}');
    const { message } = await expectCode(packSkill({ driver: await driver() }, folder), 'pack-failed');
    expect(message).toContain('nowhere');
  });
});

describe('a new Python skill', () => {
  it('packs as it is, and passes its own tests in the sandbox', verifies('cli.init-packs'), async () => {
    const folder = join(await tempFolder(), 'hello');
    await initSkill(folder, { name: 'local.me/hello', template: 'python' });
    const { packed, tests, advice } = await checkSkill({ driver: await driver() }, folder);
    expect(packed.surface.tools.map(({ name }) => name)).toEqual(['greet']);
    expect(pathsOf(packed.files)).toEqual([
      'README.md',
      'server/greeting.py',
      'server/main.py',
      'skill.json',
      'surface.json',
    ]);
    expect(tests).toMatchObject([{ file: 'test/test_greeting.py', passed: true }]);
    expect(tests[0]?.output).toContain('Ran 2 tests');
    expect(advice).toEqual([]);

    await writeFile(join(folder, 'server/greeting.py'), 'def greeting(name="world"):\n    return name\n');
    const { tests: failing } = await checkSkill({ driver: await driver() }, folder);
    expect(failing).toMatchObject([{ passed: false, output: expect.stringContaining('Hello, Ada!') }]);
  });

  it('has the packages of its wheels in its tests, too', verifies('cli.init-packs'), async () => {
    const folder = await withWheel('tiny-1.0-py3-none-any.whl', { 'tiny.py': 'N = 7\n', 'tiny.pth': '' });
    await mkdir(join(folder, 'test'));
    const test =
      'import tiny, unittest\nclass T(unittest.TestCase):\n    def test_it(self):\n        assert tiny.N == 7\n';
    await writeFile(join(folder, 'test/test_tiny.py'), test);
    const { tests, advice } = await checkSkill({ driver: await driver() }, folder);
    expect(tests).toMatchObject([{ passed: true }]);
    expect(advice.join()).toContain('tiny.pth has no effect');
  });
});
