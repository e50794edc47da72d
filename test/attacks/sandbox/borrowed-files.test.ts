import { chmod, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compile } from '../../support/compile.ts';
import { verifies } from '../../support/verifies.ts';
import { FORM_NAMES_WITH_CONTAINERS, type Form, openForm } from './forms.ts';

const MAIN = '#include <stdio.h>\nint main(void) { puts("ran"); return 0; }\n';
const binary = { runtime: { kind: 'binary' as const, entry: 'program', args: [] } };

/** The hub of an ordinary user is another process, whose errors come over a pipe. */
const refuses = (run: Promise<unknown>, said: string) =>
  expect(run).rejects.toMatchObject({ code: 'skill-start-failed', message: expect.stringContaining(said) });

describe.each(FORM_NAMES_WITH_CONTAINERS)('a program of a package, for a hub as %s', (name) => {
  let form: Form;
  let outside: string;
  beforeAll(async () => {
    form = await openForm(name);
    outside = await mkdtemp(join(tmpdir(), 'berth-outside-'));
    await chmod(outside, 0o755);
  });
  afterAll(async () => {
    await form.close();
    await rm(outside, { recursive: true, force: true });
  });
  const build = async (source: string, ...options: string[]) =>
    readFile(await compile(source, join(outside, 'program'), ...options));

  it(
    'runs with the loader and libraries of the machine, or without any',
    verifies('sandbox.runtimes'),
    async () => {
      for (const options of [[], ['-static'], ['-lm', '-Wl,--no-as-needed']]) {
        const plan = await form.plan({ program: await build(MAIN, ...options) }, binary);
        expect(await form.run(plan)).toMatchObject({ stderr: '', exit: { code: 0 } });
      }
    },
  );

  it.each(['/etc/passwd', '/usr/bin/env', '/bin/sh'])(
    'that names %s as its loader does not get it',
    verifies('sandbox.no-borrowed-files'),
    async (loader) => {
      const plan = await form.plan({ program: await build(MAIN, `-Wl,--dynamic-linker=${loader}`) }, binary);
      await refuses(form.run(plan), 'loader');
    },
  );

  it(
    'that names a folder of the machine for its libraries does not get what lies there',
    verifies('sandbox.no-borrowed-files'),
    async () => {
      const folder = join(outside, 'private');
      await mkdir(folder, { recursive: true, mode: 0o755 });
      const library = join(folder, 'libprivate.so');
      await compile('int secret(void) { return 7; }\n', library, '-shared', '-fPIC');
      const user = 'int secret(void);\nint main(void) { return secret(); }\n';
      for (const runPath of [folder, `$ORIGIN/../../../../../../../..${folder}`]) {
        const program = await build(user, `-L${folder}`, '-lprivate', `-Wl,-rpath,${runPath}`);
        await refuses(form.run(await form.plan({ program }, binary)), 'libprivate.so');
      }
      const own = await build(user, `-L${folder}`, '-lprivate', '-Wl,-rpath,$ORIGIN');
      const plan = await form.plan({ program: own, 'libprivate.so': await readFile(library) }, binary);
      expect(await form.run(plan)).toMatchObject({ stderr: '', exit: { code: 7 } });
    },
  );
});
