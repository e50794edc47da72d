import { execFile } from 'node:child_process';
import { mkdir, readdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { tempFolder } from '../../support/temp-folder.ts';
import { verifies } from '../../support/verifies.ts';

const root = join(import.meta.dirname, '../../..');
const { PATH = '' } = process.env; // oxlint-disable-line node/no-process-env

/** Vitest starts again in each of these, beside the others. */
const WITH_VITEST_MS = 180_000;

/** All programs of this machine but those that sandboxes are made with. */
async function everythingButSandboxes(): Promise<string> {
  const bin = join(await tempFolder(), 'bin');
  await mkdir(bin);
  for (const folder of PATH.split(':'))
    for (const name of await readdir(folder).catch(() => []))
      if (name !== 'bwrap' && name !== 'podman')
        await symlink(join(folder, name), join(bin, name)).catch(() => undefined);
  return bin;
}

/** Runs an attack file as `npm run test:attacks` would, with another PATH. */
function attacks(path: string): Promise<{ code: number; report: Report }> {
  return new Promise((resolve, reject) => {
    execFile(
      process.execPath,
      [
        join(root, 'node_modules/vitest/vitest.mjs'),
        ...['run', '--config', 'test/vitest.config.ts', '--project', 'attacks', '--reporter', 'json'],
        'test/attacks/sandbox/neighbours.test.ts',
      ],
      { cwd: root, env: { ...process.env, PATH: path } }, // oxlint-disable-line node/no-process-env
      (error, stdout) => {
        const start = stdout.indexOf('{');
        if (start < 0) reject(error ?? new Error('vitest said nothing'));
        else
          resolve({
            code: typeof error?.code === 'number' ? error.code : 0,
            report: JSON.parse(stdout.slice(start)) as Report,
          });
      },
    );
  });
}

interface Report {
  numPassedTests: number;
  numPendingTests: number;
  numFailedTestSuites: number;
  success: boolean;
}

describe('the attacks on a machine', () => {
  it(
    'without bubblewrap fail, and none is skipped',
    { ...verifies('sandbox.fails-closed'), timeout: WITH_VITEST_MS },
    async () => {
      const { code, report } = await attacks(await everythingButSandboxes());
      expect({ code, success: report.success, passed: report.numPassedTests }).toEqual({
        code: 1,
        success: false,
        passed: 0,
      });
      expect(report.numPendingTests).toBe(0);
    },
  );

  it(
    'whose bubblewrap does not work fail as well',
    { ...verifies('sandbox.fails-closed'), timeout: WITH_VITEST_MS },
    async () => {
      const bin = await everythingButSandboxes();
      await writeFile(
        join(bin, 'bwrap'),
        '#!/bin/sh\n[ "$1" = --help ] && exec /usr/bin/bwrap --help\necho "bwrap: setting up uid map: Permission denied" >&2\nexit 1\n',
        { mode: 0o755 },
      );
      const { code, report } = await attacks(bin);
      expect({ code, success: report.success, passed: report.numPassedTests }).toEqual({
        code: 1,
        success: false,
        passed: 0,
      });
      expect(report.numPendingTests).toBe(0);
    },
  );
});
