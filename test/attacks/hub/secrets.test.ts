import { beforeAll, describe, expect, it } from 'vitest';
import { AppError } from '../../../protocol/errors.ts';
import type { Surface } from '../../../protocol/surface.ts';
import { callTool, runnerRig } from '../../hub/runner/rig.ts';
import { callPath } from '../../support/call-path.ts';
import { capture, planOf, runnable } from '../../support/fixture-skills.ts';
import { verifies } from '../../support/verifies.ts';

const PEM =
  '-----BEGIN KEY-----\nMIIBVQIBADANBgkqhkiG9w0BAQ\nEFAASCAT8wggE7AgEAAkEAq7BF\n-----END KEY-----\n';
const SECRETS = new Map([
  ['USER', 'admin'],
  ['PASSWORD', 'admin-9f8s7d6'],
  ['PIN', '48151623'],
  ['QUOTED', 'say "hush"\\now'],
  ['KEY', PEM],
]);
const ARGS = { name: 'say', arguments: {} };

let surface: Surface;

beforeAll(async () => {
  surface = await capture('misbehave');
});

describe('a secret', () => {
  it(
    'that a skill repeats in an error reaches neither agent nor audit log',
    verifies('call.redacts-secrets'),
    async () => {
      const path = await callPath({
        secrets: SECRETS,
        perform: () =>
          Promise.reject(
            new AppError('skill-error', {
              detail: 'echo answered with an error: bad password admin-9f8s7d6',
              hint: 'Is admin-9f8s7d6 right?',
              data: { rpc: { code: -1, message: 'admin-9f8s7d6', data: { 'admin-9f8s7d6': 1 } } },
            }),
          ),
      });
      const error = await path.request('tools/call', ARGS).catch((thrown: AppError) => thrown);
      expect(error).toMatchObject({ code: 'skill-error', data: { rpc: { code: -1 } } });
      const told = error as AppError;
      expect(JSON.stringify([told.message, told.hint, told.data, await path.records()])).not.toContain(
        '9f8s7',
      );
    },
  );

  it(
    'that a skill reports as progress does not reach the agent',
    verifies('call.redacts-secrets'),
    async () => {
      const path = await callPath({
        secrets: SECRETS,
        perform: async (request) => {
          request.onProgress?.({ progress: 1, total: 2, message: 'trying admin-9f8s7d6' });
          return { content: [] };
        },
      });
      const heard: unknown[] = [];
      await path.request('tools/call', ARGS, undefined, {
        onProgress: (progress) => void heard.push(progress),
      });
      expect(heard).toEqual([{ progress: 1, total: 2, message: 'trying [secret PASSWORD]' }]);
    },
  );

  it(
    'that begins like another, is a number, or was put into JSON is found all the same',
    verifies('call.redacts-secrets'),
    async () => {
      const path = await callPath({
        secrets: SECRETS,
        perform: async () => ({
          content: [
            { type: 'text', text: 'admin-9f8s7d6' },
            { type: 'text', text: JSON.stringify(Object.fromEntries(SECRETS)) },
            { type: 'text', text: PEM.split('\n')[1] },
          ],
          structuredContent: { pin: 48151623, other: 7, 'admin-9f8s7d6': true },
        }),
      });
      const text = JSON.stringify(await path.request('tools/call', ARGS));
      for (const part of ['9f8s7', '48151623', 'hush', 'MIIBVQ', 'EFAASC']) expect(text).not.toContain(part);
      expect(text).toContain('"other":7');
    },
  );

  it(
    'given as a file is left out of what a skill says on standard error',
    verifies('runner.stderr'),
    async () => {
      const { runner, line, lines } = runnerRig();
      const skill = runnable('misbehave', surface, {
        plan: async () => ({
          ...planOf('misbehave', ['none', 'file-secret-value', 'EFAASCAT8wggE7AgEAAkEAq7BF']),
          files: { '/run/secrets/KEY': 'file-secret-value', '/run/secrets/PEM': PEM },
        }),
      });
      await callTool(runner, skill, 'ok');
      await line((one) => String(one['stderr']).startsWith('event:started none'));
      expect(JSON.stringify(lines)).not.toMatch(/file-secret-value|EFAASC/);
    },
  );
});
