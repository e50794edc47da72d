import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { SandboxListeners } from '../egress/egress.ts';
import { INSIDE, type Standing } from './accounts.ts';
import type { SandboxPlan } from './sandbox.ts';
import type { SpawnedSandbox } from './spawn-sandbox.ts';

/** What the probe sees of the world it is in. */
const factsSchema = z.object({
  uid: z.number(),
  status: z.string(),
  interfaces: z.string(),
  environment: z.array(z.string()),
  firstEnvironment: z.string(),
  descriptors: z.array(z.string()),
  seen: z.array(z.string()),
  written: z.array(z.string()),
  devices: z.boolean(),
  /** What became of three tries to speak to the hub; absent where there is no network to try. */
  network: z.object({ open: z.string(), shut: z.string(), name: z.string() }).optional(),
});
type Facts = z.infer<typeof factsSchema>;

const MAX_OUTPUT_CHARS = 64 * 1024;
const TIMEOUT_MS = 20_000;
/** For one answer of this process to the probe. */
const ANSWER_TIMEOUT_MS = 5_000;

/** Paths that must not be there, and files that must not be writable (each is opened, none is written). */
const UNSEEN = [
  '/etc/shadow',
  '/root',
  '/home',
  '/sys/kernel',
  '/var',
  '/bin/sh',
  '/usr/bin/env',
  '/dev/kvm',
  '/dev/vda',
  '/run/docker.sock',
];
const UNWRITABLE = [
  '/proc/sys/kernel/core_pattern',
  '/usr/bin/node',
  '/skill/probe.mjs',
  '/probe',
  '/etc/probe',
  '/dev/probe',
];

const PROBE = `
import { constants, closeSync, existsSync, openSync, readFileSync, readlinkSync, readdirSync } from 'node:fs';
import { createSocket } from 'node:dgram';
import { connect } from 'node:net';
const { argv: [, , openPort, shutPort] } = process;
const answer = (ask) => new Promise((resolve) => {
  setTimeout(resolve, ${ANSWER_TIMEOUT_MS}, 'no answer').unref();
  ask((word) => resolve(String(word))).once('error', ({ code }) => resolve(code));
});
const tried = (port) => answer((said) => connect(Number(port), '127.0.0.1').once('data', said));
const asked = () => answer((said) => {
  const socket = createSocket('udp4').once('message', said);
  // A refusal of the first is told with the second.
  socket.connect(53, '127.0.0.1', () => socket.send('?', () => socket.send('?')));
  return socket;
});
const network = openPort && { open: await tried(openPort), shut: await tried(shutPort), name: await asked() };
const text = (path) => { try { return readFileSync(path, 'utf8'); } catch (error) { return error.code; } };
const opens = (path, flags) => { try { closeSync(openSync(path, flags)); return true; } catch { return false; } };
const link = (path) => { try { return readlinkSync(path); } catch { return ''; } };
const write = (path) => opens(path, existsSync(path) ? constants.O_WRONLY : constants.O_WRONLY | constants.O_CREAT);
process.stdout.write(JSON.stringify({
  uid: process.getuid(),
  status: text('/proc/self/status'),
  interfaces: text('/proc/self/net/dev'),
  environment: Object.keys(process.env),
  firstEnvironment: text('/proc/1/environ'),
  descriptors: readdirSync('/proc/self/fd').map((name) => link('/proc/self/fd/' + name)),
  seen: ${JSON.stringify(UNSEEN)}.filter(existsSync),
  written: ${JSON.stringify(UNWRITABLE)}.filter(write),
  devices: opens('/dev/null', 'r+') && opens('/dev/urandom', 'r') && opens('/tmp/probe', 'w'),
  network,
}), () => process.exit());
`;

/** Where the probe of a network tries to reach the hub: one port is listened at, the other is not. */
const OPEN_PORT = 443;
const SHUT_PORT = 444;
/** What the hub says to the probe. */
const GREETING = 'berth';

/** The plan of the probe: a skill with nothing granted, or with a network that leads to this process. */
export async function probePlan(stateDir: string, network: 'none' | 'own'): Promise<SandboxPlan> {
  const packageDir = join(stateDir, 'self-test');
  const program = join(packageDir, 'probe.mjs');
  await mkdir(packageDir, { recursive: true });
  await writeFile(program, PROBE);
  await chmod(packageDir, 0o755);
  await chmod(program, 0o644);
  return {
    label: 'self-test',
    packageDir,
    runtime: {
      kind: 'node',
      entry: 'probe.mjs',
      args: network === 'none' ? [] : [`${OPEN_PORT}`, `${SHUT_PORT}`],
    },
    mounts: [],
    scratch: [],
    env: {},
    programs: [],
    network: [],
    limits: { memoryMb: 256, cpus: 1, pids: 32, diskMb: 4 },
  };
}

/** What has to be listened at for the probe of a network. */
export const PROBE_PORTS: readonly number[] = [OPEN_PORT];

/** Answers the probe of a network as its egress would. */
export function greetProbe({ servers, dns }: SandboxListeners): void {
  for (const server of servers) {
    server.on('connection', (socket) => socket.on('error', () => undefined).end(GREETING));
  }
  dns.udp.on('message', (_query, { port, address }) => dns.udp.send(GREETING, port, address));
}

/**
 * What is wrong with the sandbox that the probe ran in; undefined when it holds. It looks at what a
 * wrong kernel, setting or version would spoil; the attack tests look at everything else.
 */
export async function faultOf(probe: SpawnedSandbox, standing: Standing): Promise<string | undefined> {
  const timer = setTimeout(() => void probe.kill(), TIMEOUT_MS);
  const [output, said, exit] = await Promise.all([text(probe.stdout), text(probe.stderr), probe.exited]);
  clearTimeout(timer);
  const facts = factsSchema.safeParse(asJson(output));
  if (!facts.success) {
    return `the probe did not run (${[exit.reason ?? exit.signal ?? `exit ${exit.code}`, said.trim()].filter(Boolean).join(': ')})`;
  }
  return CHECKS.find(([, holds]) => !holds(facts.data, standing))?.[0];
}

const CHECKS: readonly (readonly [fault: string, holds: (facts: Facts, standing: Standing) => boolean])[] = [
  [
    'the probe ran under another account',
    ({ uid }, standing) => uid === (standing.kind === 'account' ? standing.uid : INSIDE.uid),
  ],
  [
    'the probe had capabilities',
    ({ status }) =>
      ['Inh', 'Prm', 'Eff', 'Bnd', 'Amb'].every((set) => new RegExp(`^Cap${set}:\\s+0+$`, 'm').test(status)),
  ],
  ['the probe could gain privileges', ({ status }) => /^NoNewPrivs:\s+1$/m.test(status)],
  ['the system call filter was not in force', ({ status }) => /^Seccomp:\s+2$/m.test(status)],
  [
    'the probe saw a network',
    ({ interfaces }) =>
      interfaces
        .split('\n')
        .slice(2)
        .filter(Boolean)
        .every((line) => /^\s*lo:/.test(line)),
  ],
  [
    'the probe saw the environment of the hub',
    ({ environment, firstEnvironment, network }) =>
      environment.length <= MAX_ENVIRONMENT + (network === undefined ? 0 : MAX_TRUST) &&
      !/^(?!PATH=)\w+=/m.test(firstEnvironment.replaceAll('\0', '\n')),
  ],
  [
    'the probe held a file of the hub',
    ({ descriptors }) =>
      descriptors.every((target) => !/^\/(?!dev\/null$|dev\/pts|proc\/|skill\/)/.test(target)),
  ],
  ['the probe saw files of the machine', ({ seen }) => seen.length === 0],
  ['the probe could write outside of its folders', ({ written }) => written.length === 0],
  ['the devices or scratch folders did not work', ({ devices }) => devices],
  [
    'the probe did not reach the hub by its network',
    ({ network }) => network === undefined || (network.open === GREETING && network.name === GREETING),
  ],
  [
    'the probe reached what was not opened',
    ({ network }) => network === undefined || network.shut === 'ECONNREFUSED',
  ],
];
/** PATH, HOME, TMPDIR, LANG and what bubblewrap adds, PWD. */
const MAX_ENVIRONMENT = 5;
/** With a network also where certificates are. */
const MAX_TRUST = 4;

async function text(stream: AsyncIterable<unknown>): Promise<string> {
  let all = '';
  for await (const chunk of stream) all = (all + String(chunk)).slice(0, MAX_OUTPUT_CHARS);
  return all;
}

function asJson(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
