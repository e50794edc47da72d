import { closeSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { adminApi } from '../../hub/admin-api.ts';
import { callRoute } from '../../protocol/node/http-client.ts';
import { newHome, removeHome, startBerth } from '../support/berth.ts';
import { hubRig } from '../support/hub-rig.ts';
import { skillFolder } from '../support/skill-folder.ts';
import { verifies } from '../support/verifies.ts';

const NAME = 'local.test/subject';
const MEBIBYTE = 1024 * 1024;

/** Writes until not one byte more fits. */
function fill(path: string): void {
  const file = openSync(path, 'w');
  for (const size of [MEBIBYTE, 4096, 1]) {
    const block = Buffer.alloc(size);
    try {
      for (;;) writeSync(file, block);
    } catch (error) {
      expect((error as NodeJS.ErrnoException).code).toBe('ENOSPC');
    }
  }
  closeSync(file);
}

/** Its code where it fails, undefined where it does not. */
const codeOf = (work: Promise<unknown>): Promise<string | undefined> =>
  work.then(
    () => undefined,
    (error: { code: string }) => error.code,
  );

describe('a hub whose disk is full', () => {
  it(
    'does nothing that it cannot record, loses nothing, and goes on when there is room',
    { ...verifies('hub.disk-full'), timeout: 60_000 },
    async () => {
      const rig = await hubRig();
      const permissions = { filesystem: [{ path: '${workspace}', mode: 'rw' }] };
      const tools = {
        add: { code: `fs.appendFileSync('/workspace/sum', 'x'); return 'added'`, annotations: {} },
      };
      await rig.publish(await skillFolder({ permissions, tools }));
      const home = await newHome();
      onTestFinished(() => removeHome(home));
      const hub = await startBerth(home, {
        diskBytes: 24 * MEBIBYTE,
        args: ['serve', 'hub', '--json', '--port', '0', '--registry', rig.registry.url],
      });
      onTestFinished(() => hub.kill());
      const { admin } = hub;
      const accept = { workspace: rig.workspace, tools: { '*': 'allow' as const } };
      await callRoute(adminApi.install, { ...admin, body: { name: NAME, accept } });
      await rig.publish(await skillFolder({ version: '1.0.1', permissions, tools }));
      const call = () =>
        callRoute(adminApi.call, { ...admin, body: { skill: NAME, tool: 'add', arguments: {} } });
      const sum = () => readFileSync(join(rig.workspace, 'sum'), 'utf8').length;
      await call();

      const filler = join(`/proc/${hub.process.pid}/root${home}`, 'filler');
      fill(filler);
      let answered = 1;
      for (;;) {
        const code = await codeOf(call());
        if (code !== undefined) {
          expect(code).toBe('no-space');
          break;
        }
        answered += 1;
      }
      expect(sum()).toBe(answered);
      expect(await codeOf(callRoute(adminApi.install, { ...admin, body: { name: NAME, accept } }))).toBe(
        'no-space',
      );
      expect(await codeOf(callRoute(adminApi.addClient, { ...admin, body: { name: 'agent' } }))).toBe(
        'no-space',
      );
      expect(await callRoute(adminApi.clients, admin)).toEqual([]);
      expect(await callRoute(adminApi.skills, admin)).toMatchObject([{ version: '1.0.0', state: 'ready' }]);

      rmSync(filler);
      await call();
      expect(sum()).toBe(answered + 1);
      await callRoute(adminApi.verifyAudit, admin);
      await callRoute(adminApi.install, { ...admin, body: { name: NAME, accept } });
      expect(await callRoute(adminApi.skills, admin)).toMatchObject([{ version: '1.0.1', state: 'ready' }]);

      fill(filler);
      expect(await hub.stop()).toBe(0);
    },
  );
});
