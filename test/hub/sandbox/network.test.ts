import { once } from 'node:events';
import { readdir, readFile, readlink } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Egress } from '../../../hub/egress/egress.ts';
import { type NetworkingDriver, createBwrapDriver } from '../../../hub/sandbox/bwrap.ts';
import type { SandboxNetwork } from '../../../hub/sandbox/network.ts';
import { createReadyNetworks, MAX_READY } from '../../../hub/sandbox/ready-networks.ts';
import type { SandboxPlan } from '../../../hub/sandbox/sandbox.ts';
import { outcomeOf } from '../../attacks/sandbox/outcome.ts';
import { expectCode } from '../../support/expect-code.ts';
import { logLines } from '../../support/log-lines.ts';
import { watchedEgress } from '../../support/watched-egress.ts';
import { pathWithNsenter } from '../../support/path-with.ts';
import { tempFolder } from '../../support/temp-folder.ts';
import { manualClock } from '../../support/manual-clock.ts';
import { plainPlan } from '../../support/plain-plan.ts';
import { verifies } from '../../support/verifies.ts';

const { PATH: SEARCH_PATH = '' } = process.env; // oxlint-disable-line node/no-process-env

/** On each line that it reads, says what became of a connection to the one host; the first stays open. */
const CALLER = `
import net from 'node:net';
import { createInterface } from 'node:readline';
const port = Number(process.argv[2]);
const said = (line) => process.stdout.write(line + '\\n');
for await (const line of createInterface({ input: process.stdin })) {
  const socket = net.connect(port, 'allowed.test');
  socket.on('data', (data) => said(line + ' ' + data)).on('error', ({ code }) => said(line + ' ' + code));
}
`;

async function driverFor(
  egress: Egress,
  path = SEARCH_PATH,
): Promise<{ driver: NetworkingDriver; home: string }> {
  const home = await tempFolder();
  const { log } = logLines();
  const driver = createBwrapDriver({
    path,
    stateDir: join(home, 'sandbox'),
    forbidden: [home],
    log,
    egress,
  });
  onTestFinished(() => driver.close());
  return { driver, home };
}

async function farServer(): Promise<{ server: Server; port: number; sockets: Socket[] }> {
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
  return { server, port: (server.address() as { port: number }).port, sockets };
}

const planFor = (home: string, port: number, more: Partial<SandboxPlan> = {}): Promise<SandboxPlan> =>
  plainPlan(
    join(home, 'package'),
    { 'index.mjs': CALLER },
    {
      label: 'org.example/caller@1.0.0',
      runtime: { kind: 'node', entry: 'index.mjs', args: [String(port)] },
      network: [{ host: 'allowed.test', port, protocol: 'tcp', address: '127.0.0.1' }],
      holder: { skill: 'org.example/caller', user: 'ann', background: false },
      ...more,
    },
  );

describe('a process with a network', () => {
  it(
    'reaches its host during a call, and not before or after one',
    verifies('sandbox.network-while-called'),
    async () => {
      const egress = watchedEgress();
      const { driver, home } = await driverFor(egress);
      const far = await farServer();
      const skill = await driver.start(await planFor(home, far.port));
      const ask = async (word: string) => {
        skill.stdin.write(`${word}\n`);
        const [answer] = (await once(skill.stdout, 'data')) as [Buffer];
        return answer.toString().trim();
      };
      expect(await ask('early')).toMatch(/^early E/);
      const leave = skill.enter();
      expect(await ask('within')).toBe('within far');
      leave();
      expect(await ask('late')).toMatch(/^late E/);
      await skill.kill();
      expect(egress.orders).toEqual([
        {
          skill: 'org.example/caller',
          user: 'ann',
          background: false,
          rules: [{ host: 'allowed.test', port: far.port, protocol: 'tcp', address: '127.0.0.1' }],
        },
      ]);
    },
  );

  it(
    'loses its connections the moment it is ended, and its session with it',
    verifies('sandbox.network-ends'),
    async () => {
      const egress = watchedEgress();
      const { driver, home } = await driverFor(egress);
      const far = await farServer();
      const background = { skill: 'org.example/caller', user: 'ann', background: true };
      const skill = await driver.start(await planFor(home, far.port, { holder: background }));
      skill.stdin.write('open\n');
      await once(skill.stdout, 'data');
      expect(egress.live()).toBe(1);
      const cut = closed(far.sockets[0]);
      const ending = skill.kill();
      expect(egress.live()).toBe(0);
      await Promise.all([cut, ending]);
    },
  );

  it('that ends by itself closes its session, too', verifies('sandbox.network-ends'), async () => {
    const egress = watchedEgress();
    const { driver, home } = await driverFor(egress);
    expect((await outcomeOf(driver, await planFor(home, 1))).exit.code).toBe(0);
    expect(egress.live()).toBe(0);
  });

  it.each([
    ['a port that is none', [70_000], /port/],
    ['the port of names', [53, 443], /EADDRINUSE/],
  ])(
    'is not started where its network cannot be made: %s',
    verifies('sandbox.fails-closed'),
    async (_what, ports, words) => {
      const egress = watchedEgress();
      const { driver, home } = await driverFor({ open: (order) => ({ ...egress.open(order), ports }) });
      const error = await expectCode(driver.start(await planFor(home, 1)), 'skill-start-failed');
      expect(error.message).toMatch(words);
      expect(egress.live()).toBe(0);
    },
  );

  it('whose start fails leaves no session', verifies('sandbox.fails-closed'), async () => {
    const egress = watchedEgress();
    const { driver, home } = await driverFor(egress);
    const plan = await planFor(home, 1, { runtime: { kind: 'node', entry: 'missing.mjs', args: [] } });
    await expectCode(driver.start(plan), 'skill-start-failed');
    expect(egress.live()).toBe(0);
  });
});

describe('networks made ahead', () => {
  it(
    'are taken by the next start, made anew after it, and dropped when nobody wants them',
    verifies('sandbox.network-ahead'),
    async () => {
      const { driver, home } = await driverFor(watchedEgress());
      await driver.report();
      driver.keepReady([[8443]]);
      await expect.poll(heldNamespaces, { timeout: 10_000, interval: 5 }).toHaveLength(1);
      const [first] = await heldNamespaces();
      const skill = await driver.start(await planFor(home, 8443));
      const inside = await readlink(`/proc/${await innermost(skill.pid)}/ns/net`);
      expect(inside).toBe(first);
      await expect
        .poll(heldNamespaces, { timeout: 10_000, interval: 5 })
        .toEqual([expect.not.stringContaining(inside)]);
      await skill.kill();
      driver.keepReady([]);
      await expect.poll(heldNamespaces, { timeout: 10_000, interval: 5 }).toEqual([]);
    },
  );

  it(
    'are bounded, one for each list of ports, and none is left once closed',
    verifies('sandbox.network-ahead'),
    async () => {
      const live = new Set<string>();
      const failures: unknown[] = [];
      const networks = createReadyNetworks({
        after: manualClock().after,
        make: async (ports) => networkOf(String(ports), live),
        failed: (error) => failures.push(error),
      });
      networks.keep(Array.from({ length: MAX_READY + 5 }, (_, index) => [index + 1]));
      await expect.poll(() => live.size).toBe(MAX_READY);
      networks.keep([[1], [1, 1], [3, 2], [2, 3]]);
      await expect.poll(() => [...live]).toEqual(['1', '2,3']);
      expect((await networks.take([3, 2])).enter).toEqual(['2,3']);
      await networks.close();
      expect([...live]).toEqual(['2,3']);
      expect(failures).toEqual([]);
    },
  );

  it('come again once what took one had time to start', verifies('sandbox.network-ahead'), async () => {
    const clock = manualClock();
    const made: string[] = [];
    const networks = createReadyNetworks({
      after: clock.after,
      make: async (ports) => networkOf(`${made.push(String(ports))}`, new Set()),
      failed: () => undefined,
    });
    networks.keep([[1]]);
    await expect.poll(() => made).toEqual(['1']);
    await networks.take([1]);
    networks.refill();
    clock.advance(999);
    // However many start meanwhile: the first one's time counts.
    networks.refill();
    expect(made).toHaveLength(1);
    clock.advance(1);
    await expect.poll(() => made).toHaveLength(2);
    expect((await networks.take([1])).enter).toEqual(['2']);
  });

  it('that cannot be made are made at the start', verifies('sandbox.network-ahead'), async () => {
    const failures: unknown[] = [];
    let works = false;
    const networks = createReadyNetworks({
      after: manualClock().after,
      make: async (ports) => {
        if (works) return networkOf(String(ports), new Set());
        throw new Error('no room');
      },
      failed: (error) => failures.push(error),
    });
    networks.keep([[1]]);
    await expect.poll(() => failures).toEqual([new Error('no room')]);
    await expect(networks.take([1])).rejects.toThrow('no room');
    works = true;
    expect((await networks.take([1])).enter).toEqual(['1']);
  });
});

function networkOf(name: string, live: Set<string>): SandboxNetwork {
  live.add(name);
  return {
    listeners: undefined as never,
    enter: [name],
    entered: async () => undefined,
    close: async () => void live.delete(name),
  };
}

describe('where hosts cannot be granted', () => {
  it.each([
    ['nsenter is missing', undefined, /nsenter/],
    [
      'nsenter enters nothing',
      `#!/bin/sh\nwhile [ "$1" != -- ]; do shift; done\nshift\nexec "$@"\n`,
      /saw a network/,
    ],
  ])(
    'because %s, nothing else is missing and no skill with a host is started',
    verifies('sandbox.fails-closed'),
    async (_why, nsenter, words) => {
      const { driver, home } = await driverFor(watchedEgress(), await pathWithNsenter(nsenter));
      const { usable, enforces, notes } = await driver.report();
      expect(usable).toBe(true);
      expect(enforces).toEqual(expect.arrayContaining(['files', 'network', 'syscalls']));
      expect(enforces).not.toContain('hostFilter');
      expect(notes.find((note) => note.includes('cannot be limited to hosts'))).toMatch(words);
      const error = await expectCode(driver.start(await planFor(home, 443)), 'sandbox-cannot-enforce');
      expect(error.data).toEqual({ capability: 'hostFilter' });
    },
  );
});

/** Namespaces that this process keeps by a descriptor. */
async function heldNamespaces(): Promise<string[]> {
  const names = await readdir('/proc/self/fd');
  const targets = await Promise.all(names.map((name) => readlink(`/proc/self/fd/${name}`).catch(() => '')));
  return targets.filter((target) => target.startsWith('net:'));
}

/** The last of a chain of only children: the skill's own process. */
async function innermost(pid: number): Promise<number> {
  const [child] = (await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')).split(' ').filter(Boolean);
  return child === undefined ? pid : innermost(Number(child));
}

function closed(socket: Socket | undefined): Promise<void> {
  return new Promise((resolve) => socket?.once('close', () => resolve()));
}
