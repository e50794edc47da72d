import { execFile } from 'node:child_process';
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { refuseOtherPython } from '../../hub/sandbox/python-fit.ts';
import { compile } from '../support/compile.ts';
import { C_SERVER } from '../support/c-server.ts';
import { expectCode } from '../support/expect-code.ts';
import { hubRig } from '../support/hub-rig.ts';
import { pythonSkill, wheel } from '../support/python-skill.ts';
import { tempFolder } from '../support/temp-folder.ts';
import { verifies } from '../support/verifies.ts';

const NAME = 'local.test/subject';
const ALLOWED = { tools: { '*': 'allow' } } as const;

async function binarySkill(...options: string[]): Promise<string> {
  const folder = join(await tempFolder(), 'skill');
  await mkdir(join(folder, 'bin'), { recursive: true });
  const manifest = {
    name: NAME,
    version: '1.0.0',
    title: 'Subject',
    description: 'A skill under test',
    license: 'Apache-2.0',
    runtime: { kind: 'binary', entry: 'bin/server', protocol: '2025-11-25' },
  };
  await writeFile(join(folder, 'skill.json'), JSON.stringify(manifest));
  const built = await compile(C_SERVER, join(await tempFolder(), 'server'), ...options);
  await copyFile(built, join(folder, 'bin/server'));
  return folder;
}

describe('a skill in Python', () => {
  it(
    'of the standard library alone is packed, published, installed and called',
    { timeout: 60_000, ...verifies('sandbox.runtimes') },
    async () => {
      const rig = await hubRig();
      await rig.publish(
        await pythonSkill(`import sqlite3, ssl, json
def total(args):
    db = sqlite3.connect(":memory:")
    return db.execute("select sum(value) from json_each(?)", (json.dumps(args["numbers"]),)).fetchone()[0]
TOOLS = {"total": total}`),
      );
      const { installed } = await rig.install(NAME, undefined, ALLOWED);
      expect(installed?.notes).toEqual([
        expect.stringMatching(/^Runs Python 3\.\d+\.\d+ of this machine, \//),
      ]);
      expect(await rig.text(NAME, 'total', { numbers: [1, 2, 39] })).toBe('42');
    },
  );

  it(
    'brings its packages, compiled ones with the libraries of the machine that they need',
    { timeout: 60_000, ...verifies('sandbox.runtimes') },
    async () => {
      const { stdout } = await promisify(execFile)('gcc', ['-print-file-name=libstdc++.so.6']);
      const built = await compile(
        'extern void *__cxa_allocate_exception(unsigned long);\nint answer(void) { return __cxa_allocate_exception(8) != 0 ? 42 : 0; }\n',
        join(await tempFolder(), 'libspeed.so'),
        ...['-shared', '-fPIC', '-Wl,--no-as-needed', stdout.trim()],
      );
      const { bytes, locked } = await wheel('speed-1.0-py3-none-any.whl', {
        'speed/__init__.py':
          'import ctypes, os\nanswer = ctypes.CDLL(os.path.join(os.path.dirname(__file__), "libspeed.so")).answer\n',
        'speed/libspeed.so': { hex: (await readFile(built)).toString('hex') },
      });
      const rig = await hubRig();
      await rig.publish(
        await pythonSkill('import speed\nTOOLS = {"answer": lambda args: speed.answer()}', {
          'wheels/speed-1.0-py3-none-any.whl': bytes,
          'requirements.lock': locked,
        }),
      );
      await rig.install(NAME, undefined, ALLOWED);
      expect(await rig.text(NAME, 'answer')).toBe('42');
    },
  );

  it(
    'of another Python is refused with the one that it needs',
    { timeout: 60_000, ...verifies('sandbox.python-fits') },
    async () => {
      const files = ['server/site/a/_speed.cpython-311-x86_64-linux-gnu.so', 'server/main.py'];
      refuseOtherPython(files, { version: '3.11.9', arch: 'x64' });
      refuseOtherPython(['a.abi3.so', 'libfoo.so.1'], { version: '3.12.0', arch: 'arm64' });
      for (const python of [
        { version: '3.12.1', arch: 'x64' },
        { version: '3.11.2', arch: 'arm64' },
      ]) {
        const refused = await expectCode(async () => refuseOtherPython(files, python), 'program-missing');
        expect(refused.message).toContain('Python 3.11 on x86_64');
      }
      const name = 'server/site/_old.cpython-310-x86_64-linux-gnu.so';
      const old = await pythonSkill('TOOLS = {}', { [`files/${name}`]: '' }, { files: ['files'] });
      const rig = await hubRig();
      // Refused before anything of it runs, when it is packed and when it is installed.
      await expectCode(rig.publish(old), 'program-missing');
    },
  );
});

describe('a skill that is a program', () => {
  it.each([
    ['static', ['-static', '-lm'], ['Needs no library of this machine.']],
    [
      'dynamic',
      ['-fno-builtin', '-lm'],
      [expect.stringMatching(/^Loads libraries of this machine: .*libc\.so\.6/)],
    ],
  ])(
    'linked %s is packed, published, installed and called, and says what it loads',
    { timeout: 60_000, ...verifies('sandbox.runtimes') },
    async (_how, options, notes) => {
      const rig = await hubRig();
      await rig.publish(await binarySkill(...options));
      const { installed } = await rig.install(NAME, undefined, ALLOWED);
      expect(installed?.notes).toEqual(notes);
      expect(await rig.text(NAME, 'root')).toBe('1.414214');
    },
  );

  it('is packed only when it can run here', { timeout: 60_000, ...verifies('cli.pack-binary') }, async () => {
    const rig = await hubRig();
    const folder = await binarySkill();
    const entry = join(folder, 'bin/server');
    const built = await readFile(entry);
    const otherProcessor = Buffer.from(built);
    otherProcessor.writeUInt16LE(process.arch === 'x64' ? 183 : 62, 18);
    const tries: [string | Buffer, string][] = [
      ['#!/bin/sh\necho hello\n', 'a script for /bin/sh'],
      ['#! /usr/bin/env python3\n', 'a script for /usr/bin/env python3'],
      ['hello', 'no 64-bit program'],
      [built.subarray(0, 60), 'no 64-bit program'],
      [otherProcessor, 'another processor'],
    ];
    for (const [content, said] of tries) {
      await writeFile(entry, content);
      const refused = await expectCode(rig.publish(folder), 'pack-failed');
      expect(refused.message).toContain(said);
    }
  });
});
