import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { InstalledSkillView } from '../../hub/admin-api.ts';
import { hubRig } from '../support/hub-rig.ts';
import { runCli } from '../support/run-cli.ts';
import { skillFolder } from '../support/skill-folder.ts';
import { tempFolder } from '../support/temp-folder.ts';
import { privateInternet } from '../support/tls.ts';
import { verifies } from '../support/verifies.ts';

const NAME = 'local.test/web';
const page = {
  code: `return fetch(args.url).then((answer) => answer.text(), (error) => error.cause.code ?? error.cause.message);`,
};

describe('berth install --allow-host', () => {
  it(
    'opens a host at an address of this machine, and says so; nothing else opens',
    { ...verifies('install.allowed-hosts', 'sandbox.certificates'), timeout: 60_000 },
    async () => {
      const { cert, http, outside } = await privateInternet();
      const server = http().on('request', (_request, response) => response.end('a page'));
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      onTestFinished(() => {
        server.closeAllConnections();
        server.close();
      });
      const { port } = server.address() as AddressInfo;
      const sandboxCa = join(await tempFolder(), 'ca.pem');
      await writeFile(sandboxCa, cert);
      const rig = await hubRig({ config: { sandboxCa }, outside });
      const last = async () => (await rig.contacts()).at(-1);
      await rig.publish(
        await skillFolder({
          name: NAME,
          permissions: { network: [{ host: '${config.site}', reason: 'pages' }] },
          config: { site: { type: 'string', title: 'Sites to read' } },
          tools: { page },
        }),
      );
      const berth = (...argv: string[]) =>
        runCli([...argv, '--json'], { env: { BERTH_HOME: rig.home }, cwd: '/' });
      const fetched = (url: string) => rig.text(NAME, 'page', { url: `https://${url}/` });

      const missing = await berth('install', NAME, '--yes');
      expect(missing.code).toBe(2);
      expect(missing.json()).toMatchObject({
        error: { code: 'binding-missing', hint: `berth install ${NAME} --yes --allow-host HOST` },
      });
      const wild = await berth('install', NAME, '--yes', '--allow-host', '*.workers.dev');
      expect([wild.code, wild.json()]).toMatchObject([2, { error: { code: 'binding-refused' } }]);

      const bare = (await berth('install', NAME, '--yes', '--allow-host', `tools.example:${port}`)).data();
      expect((bare as InstalledSkillView).can).toContain(
        `It can connect to tools.example:${port} (encrypted)`,
      );
      // The name leads to this machine, and nobody said that it may.
      expect(await fetched(`tools.example:${port}`)).toMatch(/ECONNRESET|UND_ERR_SOCKET/);
      await expect.poll(last).toMatchObject({ event: 'network.refused', reason: 'own-address', port });

      const host = `tools.example:${port}=127.0.0.1`;
      const waiting = await berth('install', NAME, '--yes', '--allow-host', host);
      expect(waiting.code).toBe(5);
      const { error } = waiting.json() as unknown as { error: { hint: string; id?: string } };
      expect(error.hint).toMatch(
        new RegExp(`^berth approve upgrade_\\w+ --allow-host ${host.replaceAll('.', '\\.')}$`),
      );
      const approved = await berth(...error.hint.split(' ').slice(1));
      expect((approved.data() as InstalledSkillView).can).toContain(
        `It can connect to tools.example:${port} (encrypted) at 127.0.0.1, an address of this machine`,
      );
      expect(await fetched(`tools.example:${port}`)).toBe('a page');
      await expect.poll(last).toMatchObject({ event: 'network.reached', address: '127.0.0.1' });
      expect(await fetched(`other.example:${port}`)).toBe('ENOTFOUND');
      await expect
        .poll(async () => (await berth('audit', 'ls', '--limit', '3')).stdout)
        .toContain(
          `${NAME} tried to reach other.example for owner and was refused: it is not among its hosts`,
        );

      const grants = (await berth('grants', NAME)).data() as { id: string; permission: string }[];
      const grant = grants.find(({ permission }) => permission === `network:tools.example:${port}`);
      expect((await berth('revoke', grant?.id ?? 'none')).code).toBe(0);
      expect(await fetched(`tools.example:${port}`)).toMatch(/^E/);
    },
  );
});
