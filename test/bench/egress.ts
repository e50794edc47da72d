import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import type { NetworkingDriver } from '../../hub/sandbox/bwrap.ts';
import type { Bars } from './bars.ts';
import { median } from './load.ts';
import { cpuOf } from './processes.ts';
import { HOST, networkedPlan, type SandboxRig } from './sandbox-rig.ts';
import { table } from './table.ts';

const ROUNDS = 10;
/** In each round. */
const CONNECTIONS = 10;
const MB = 1024 * 1024;
/** Of one download. All of them stay below what a session may take at once, beyond which it is held to a pace. */
const DOWNLOAD_BYTES = 256 * MB;
/** So that what is compiled late, and buffers that grow, are no part of it. */
const FIRST_BYTES = 32 * MB;

/** What the way out costs: connections, and bytes, beside a program that goes there directly. */
export async function benchEgress(rig: SandboxRig, bars: Bars): Promise<void> {
  const far = spawn(process.execPath, [join(import.meta.dirname, 'far.mjs')], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const driver = rig.networked();
  const travellers: Traveller[] = [];
  try {
    const [line] = (await once(createInterface({ input: far.stdout }), 'line')) as [string];
    const port = Number(line);
    const [bare, sandboxed] = [await travelDirectly(rig.traveller, port), await travelOut(rig, driver, port)];
    travellers.push(bare, sandboxed);
    await benchConnections([bare, sandboxed], bars);
    await benchBytes([bare, sandboxed], far, bars);
    await benchCut(rig, driver, bars);
  } finally {
    for (const { end } of travellers) await end();
    far.kill();
    await driver.close();
  }
}

/** A program that goes out on errands. */
interface Traveller {
  pid: number;
  /** Milliseconds that it took. */
  go(errand: string): Promise<number>;
  end(): Promise<unknown>;
}

async function travelDirectly(folder: string, port: number): Promise<Traveller> {
  const child = spawn(process.execPath, [join(folder, 'traveller.mjs'), 'localhost', String(port)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  return travellerAt(child.stdin, child.stdout, child.pid ?? 0, async () => child.kill());
}

async function travelOut(rig: SandboxRig, driver: NetworkingDriver, port: number): Promise<Traveller> {
  const child = await driver.start({
    ...networkedPlan(rig.plan, port),
    packageDir: rig.traveller,
    runtime: { kind: 'node', entry: 'traveller.mjs', args: [HOST, String(port)] },
  });
  child.stderr.resume();
  return travellerAt(child.stdin, child.stdout, child.pid, () => child.kill());
}

function travellerAt(input: Writable, output: Readable, pid: number, end: () => Promise<unknown>): Traveller {
  const lines = createInterface({ input: output })[Symbol.asyncIterator]();
  return {
    pid,
    async go(errand) {
      input.write(`${errand}\n`);
      const { value, done } = await lines.next();
      if (done === true) throw new Error(`The program that goes out ended at its errand: ${errand}`);
      return Number(value);
    },
    end,
  };
}

async function benchConnections(travellers: readonly [Traveller, Traveller], bars: Bars): Promise<void> {
  const ms = travellers.map(() => [] as number[]);
  for (const { go } of travellers) await go('connect');
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const [index, { go }] of travellers.entries()) {
      const times: number[] = [];
      for (let n = 0; n < CONNECTIONS; n += 1) times.push(await go('connect'));
      ms[index]?.push(median(times));
    }
  }
  const [direct = 0, out = 0] = ms.map(median);
  table(
    `From a name to the first byte of its host, median of ${ROUNDS} times the median of ${CONNECTIONS}`,
    ['', 'ms', 'beyond direct'],
    [
      ['direct, on loopback (baseline)', direct.toFixed(2), '0.00'],
      ['out of a sandbox', out.toFixed(2), (out - direct).toFixed(2)],
    ],
  );
  bars.atMost('what the way out adds to a connection', out - direct, 2, ' ms');
}

async function benchBytes(
  travellers: readonly [Traveller, Traveller],
  far: ChildProcess,
  bars: Bars,
): Promise<void> {
  const found = travellers.map(() => ({ ms: [] as number[], cpu: [] as number[], hub: [] as number[] }));
  for (const { go } of travellers) await go(`download ${FIRST_BYTES}`);
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const [index, { go, pid }] of travellers.entries()) {
      const others = () => secondsOf(pid) + secondsOf(far.pid ?? 0);
      const [before, own] = [others(), process.cpuUsage()];
      const ms = await go(`download ${DOWNLOAD_BYTES}`);
      const { user, system } = process.cpuUsage(own);
      const hub = (user + system) / 1e6;
      found[index]?.ms.push(ms);
      found[index]?.hub.push(hub);
      found[index]?.cpu.push(others() - before + hub);
    }
  }
  const [direct, out] = found.map(({ ms, cpu, hub }) => ({
    mbPerSecond: (DOWNLOAD_BYTES / MB / median(ms)) * 1000,
    cpu: (median(cpu) / (DOWNLOAD_BYTES / MB)) * 1000,
    hub: (median(hub) / (DOWNLOAD_BYTES / MB)) * 1000,
  })) as [Rate, Rate];
  const row = (name: string, { mbPerSecond, cpu, hub }: Rate) => [
    name,
    mbPerSecond.toFixed(0),
    cpu.toFixed(2),
    hub.toFixed(2),
  ];
  table(
    `${DOWNLOAD_BYTES / MB} MB from a server on loopback, median of ${ROUNDS}`,
    ['', 'MB/s', 'ms of processors for a MB', 'of these the hub'],
    [row('direct (baseline)', direct), row('out of a sandbox', out)],
  );
  bars.atLeast('throughput of the way out, of a direct copy', out.mbPerSecond / direct.mbPerSecond, 0.5);
}

interface Rate {
  mbPerSecond: number;
  cpu: number;
  hub: number;
}

/** How long a connection lives on whose skill is taken its network. */
async function benchCut(rig: SandboxRig, driver: NetworkingDriver, bars: Bars): Promise<void> {
  const server = createServer((socket) => socket.on('error', () => undefined).write('!'));
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  const ms: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const traveller = await travelOut(rig, driver, port);
    const came = once(server, 'connection') as Promise<[Socket]>;
    await traveller.go('stay');
    const [socket] = await came;
    const cut = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    const started = performance.now();
    const ended = traveller.end();
    await cut;
    ms.push(performance.now() - started);
    await ended;
  }
  server.close();
  bars.atMost('an open connection is cut with its network, the slowest', Math.max(...ms), 1000, ' ms');
}

/** Of a process and all below it. */
function secondsOf(pid: number): number {
  const { own, below } = cpuOf(pid);
  return own + below;
}
