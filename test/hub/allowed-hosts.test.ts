import { createServer, type Socket } from 'node:net';
import { once } from 'node:events';
import { describe, expect, it, onTestFinished } from 'vitest';
import { adminApi } from '../../hub/admin-api.ts';
import { callRoute } from '../../protocol/node/http-client.ts';
import { expectCode } from '../support/expect-code.ts';
import { hubRig, type HubRig } from '../support/hub-rig.ts';
import { skillFolder } from '../support/skill-folder.ts';
import { verifies } from '../support/verifies.ts';

const NAME = 'local.test/subject';
const site = { type: 'string', title: 'The site to read' };
const asksSite = { network: [{ host: '${config.site}', ports: [443], protocol: 'tcp' }] };
const tools = {
  told: { code: `return process.env.BERTH_CONFIG_SITE` },
  reach: {
    code: `
      const net = await import('node:net');
      return new Promise((resolve) => {
        const socket = net.connect(args.port, args.host);
        socket.once('data', (data) => { resolve(String(data)); socket.destroy(); });
        socket.once('error', (error) => resolve(error.code));
      });`,
  },
  later: {
    code: `
      globalThis.outcome = new Promise((resolve) => setTimeout(async () => {
        const net = await import('node:net');
        const socket = net.connect(args.port, args.host).on('error', (error) => resolve(error.code));
        socket.once('data', (data) => { resolve(String(data)); socket.destroy(); });
      }, 200));
      return 'soon';`,
  },
  outcome: { code: `return globalThis.outcome` },
  hang: {
    code: `
      const net = await import('node:net');
      return new Promise(() => net.connect(args.port, args.host).on('error', () => {}));`,
  },
};

async function far() {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket.on('error', () => undefined));
    socket.write('far');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { port: (server.address() as { port: number }).port, sockets, server };
}

const folder = (version: string, more: Partial<Parameters<typeof skillFolder>[0]> = {}) =>
  skillFolder({ version, permissions: asksSite, config: { site }, tools, ...more });
const networkOf = (installed: { grants: { permission: string }[] } | undefined) =>
  installed?.grants.map(({ permission }) => permission).filter((id) => id.startsWith('network:'));

describe('hosts that a manifest leaves to the admin', () => {
  it(
    'are named at the install, granted one by one and said aloud, and reached',
    { ...verifies('install.allowed-hosts'), timeout: 60_000 },
    async () => {
      const { port } = await far();
      const rig = await hubRig();
      await rig.publish(await folder('1.0.0'));
      const missing = await expectCode(rig.install(NAME, '*', {}), 'binding-missing');
      expect(missing.exit).toBe(2);
      expect(missing.hint).toBe('Give --allow-host HOST');
      const { installed } = await rig.install(NAME, '*', {
        hosts: [`example.test:${port}=127.0.0.1`, 'other.test'],
      });
      expect(installed).toMatchObject({
        state: 'ready',
        config: { site: `example.test:${port}=127.0.0.1,other.test` },
        can: expect.arrayContaining([
          `It can connect to example.test:${port} (any TCP protocol) at 127.0.0.1, an address of this machine`,
          'It can connect to other.test:443 (any TCP protocol)',
        ]),
      });
      expect(networkOf(installed)).toEqual([`network:example.test:${port}`, 'network:other.test:443']);
      // The call for which it is started, too.
      expect(await rig.text(NAME, 'reach', { host: 'example.test', port })).toBe('far');
      expect(await rig.text(NAME, 'told')).toBe('example.test,other.test');
      expect(await rig.text(NAME, 'reach', { host: 'evil.test', port })).toBe('ENOTFOUND');
      // Without an address the host leads to what is public, and the admin named none.
      expect(await rig.text(NAME, 'reach', { host: 'other.test', port: 443 })).toBe('ECONNRESET');
    },
  );

  it(
    'are refused where they are none, and where it is not clear for what they stand',
    { ...verifies('install.allowed-hosts'), timeout: 60_000 },
    async () => {
      const rig = await hubRig();
      await rig.publish(await folder('1.0.0'));
      const refused = async (accept: object, words: RegExp) => {
        const error = await expectCode(rig.install(NAME, '*', accept), 'binding-refused');
        expect(`${error.message} ${error.hint}`).toMatch(words);
      };
      await refused({ hosts: ['*.com'] }, /public suffix/);
      await refused({ hosts: ['*.example.com=10.0.0.1'] }, /wildcard with an address/);
      await refused({ hosts: ['db@example.com'] }, /--allow-host site@HOST/);
      await refused({ hosts: ['a.test'], config: { site: 'b.test' } }, /twice/);
      expect((await rig.install(NAME, '*', { config: { site: 'b.test' } })).installed).toMatchObject({
        config: { site: 'b.test' },
      });

      const two = { network: [{ host: '${config.site}' }, { host: '${config.db}', ports: [5432] }] };
      const both = await folder('2.0.0', {
        name: 'local.test/two',
        permissions: two,
        config: { site, db: site },
      });
      await rig.publish(both);
      const missing = await expectCode(rig.install('local.test/two', '*', {}), 'binding-missing');
      expect(missing.hint).toBe('Give --allow-host db@HOST --allow-host site@HOST');
      const { installed } = await rig.install('local.test/two', '*', {
        hosts: ['db@db.test=10.0.0.5', 'site@a.test', 'site@b.test'],
      });
      expect(installed?.config).toEqual({ db: 'db.test=10.0.0.5', site: 'a.test,b.test' });
      const left = await rig.install('local.test/two', '*', {
        without: ['network:${config.db}:5432', 'network:a.test:443'],
        hosts: ['site@a.test', 'site@b.test'],
      });
      expect(networkOf(left.installed)).toEqual(['network:b.test:443']);
    },
  );

  it(
    'stay through an upgrade; a wider list waits; what was taken back does not come again',
    { ...verifies('install.allowed-hosts'), timeout: 60_000 },
    async () => {
      const rig = await hubRig();
      for (const version of ['1.0.0', '1.1.0', '1.2.0']) await rig.publish(await folder(version));
      await rig.install(NAME, '1.0.0', { hosts: ['a.test', 'b.test=10.0.0.1'] });
      const upgraded = await rig.install(NAME, '1.1.0', {});
      expect(networkOf(upgraded.installed)).toEqual(['network:a.test:443', 'network:b.test:443']);
      expect(upgraded.installed?.config).toEqual({ site: 'a.test,b.test=10.0.0.1' });

      const grant = upgraded.installed?.grants.find(({ permission }) => permission === 'network:a.test:443');
      await callRoute(adminApi.revoke, { ...rig.admin, params: { id: grant?.id ?? '' } });
      expect(await rig.text(NAME, 'told')).toBe('b.test');
      const again = await rig.install(NAME, '1.2.0', {});
      expect(networkOf(again.installed)).toEqual(['network:b.test:443']);

      const wider = await rig.install(NAME, '1.2.0', { hosts: ['a.test', 'b.test=10.0.0.2'] });
      expect(wider.installed).toBeUndefined();
      const id = wider.approval?.id ?? '';
      const hosts = ['a.test', 'b.test=10.0.0.2'];
      const approved = await callRoute(adminApi.approve, { ...rig.admin, params: { id }, body: { hosts } });
      expect(networkOf(approved)).toEqual(['network:a.test:443', 'network:b.test:443']);
      expect(approved.can).toContain(
        'It can connect to b.test:443 (any TCP protocol) at 10.0.0.2, a private address',
      );
    },
  );
});

describe('a host that is taken back', () => {
  it('is cut from the skill within a second, in the middle of a call', verifies('grants.cut'), async () => {
    const { port, sockets, server } = await far();
    const rig: HubRig = await hubRig();
    await rig.publish(await folder('1.0.0'));
    const { installed } = await rig.install(NAME, '*', { hosts: [`example.test:${port}=127.0.0.1`] });
    const hanging = rig.call(NAME, 'hang', { host: 'example.test', port }).catch((error: unknown) => error);
    await once(server, 'connection');
    const closed = new Promise((resolve) => sockets[0]?.once('close', resolve));
    const revokedAt = performance.now();
    const grant = installed?.grants.find(({ permission }) => permission.startsWith('network:'));
    await callRoute(adminApi.revoke, { ...rig.admin, params: { id: grant?.id ?? '' } });
    await closed;
    expect(performance.now() - revokedAt).toBeLessThan(1000);
    expect(await hanging).toMatchObject({ code: 'skill-crashed' });
    expect(await rig.text(NAME, 'reach', { host: 'example.test', port })).toMatch(/^E/);
  });
});

describe('between calls', () => {
  /** What becomes of a connection that the skill makes by itself, once nobody calls it. */
  async function afterCall(permissions: Record<string, unknown>) {
    const { port, server } = await far();
    const rig = await hubRig();
    await rig.publish(await folder('1.0.0', { permissions }));
    await rig.install(NAME, '*', { hosts: [`example.test:${port}=127.0.0.1`] });
    const reached = once(server, 'connection');
    expect(await rig.text(NAME, 'later', { host: 'example.test', port })).toBe('soon');
    await expect.poll(rig.contacts, { timeout: 10_000 }).toHaveLength(1);
    return { contacts: await rig.contacts(), reached, outcome: () => rig.text(NAME, 'outcome') };
  }

  it('the network of a skill is shut', verifies('sandbox.network-while-called'), async () => {
    const { contacts, outcome } = await afterCall(asksSite);
    expect(contacts).toMatchObject([
      { event: 'network.refused', host: 'example.test', reason: 'between-calls' },
    ]);
    expect(await outcome()).toBe('ECONNRESET');
  });

  it('it is open where that was granted', verifies('sandbox.network-while-called'), async () => {
    const { contacts, reached, outcome } = await afterCall({ ...asksSite, background: true });
    await reached;
    expect(contacts).toMatchObject([{ event: 'network.reached', host: 'example.test' }]);
    expect(await outcome()).toBe('far');
  });
});
