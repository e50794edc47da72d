import { readFileSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { adminApi } from '../../hub/admin-api.ts';
import { AppError } from '../../protocol/errors.ts';
import { callRoute } from '../../protocol/node/http-client.ts';
import { type ChaosHome, chaosHome } from '../support/chaos-home.ts';
import { verifies } from '../support/verifies.ts';

let home: ChaosHome | undefined;
afterEach(() => home?.remove());

describe('a skill that crashes at every start', () => {
  it(
    'is left alone longer and longer, fails at once meanwhile, and is there soon after it was mended',
    verifies('hub.breaker'),
    async () => {
      home = await chaosHome();
      const { up, workspace } = home;
      const broken = join(workspace, 'broken');
      await home.install({ name: 'flaky', args: ['crash-while', '/workspace/broken'] });
      await writeFile(broken, '');
      const starts = () => readFileSync(`${broken}.starts`, 'utf8').trim().split('\n').map(Number);
      const call = async (): Promise<AppError | undefined> => {
        const body = { skill: 'flaky', tool: 'ok', arguments: {} };
        const outcome = await callRoute(adminApi.call, { ...up.admin, body }).catch(
          (error: unknown) => error,
        );
        return outcome instanceof AppError ? outcome : undefined;
      };
      const failed = (await call()) as AppError;
      expect([failed.code, failed.message]).toEqual([
        'skill-start-failed',
        expect.stringContaining('exit code 3'),
      ]);

      let refused = 0;
      while (starts().length < 5) {
        const before = starts().length;
        const error = (await call()) as AppError;
        expect(error.code).toBe('skill-start-failed');
        if (error.data?.['retryAfterSeconds'] === undefined) continue;
        // Told how long, without another start.
        expect(error.data['retryAfterSeconds']).toBeGreaterThanOrEqual(1);
        expect(starts().length).toBe(before);
        refused += 1;
      }
      expect(refused).toBeGreaterThan(3);
      const [, second, third, fourth, fifth] = starts() as [number, number, number, number, number];
      const pauses = [third - second, fourth - third, fifth - fourth];
      expect(pauses[0]).toBeGreaterThanOrEqual(500);
      expect(pauses[1]).toBeGreaterThanOrEqual(1_000);
      expect(pauses[2]).toBeGreaterThanOrEqual(1_500);

      await rm(broken);
      const mended = Date.now();
      // When the hub let it try again; how long it then takes to start is not the breaker's doing.
      let begun = mended;
      for (let failure = await call(); failure !== undefined; failure = await call()) begun = Date.now();
      expect(begun - mended).toBeLessThan(2_000);
    },
  );
});
