import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { SandboxListeners } from '../egress/egress.ts';
import { INSIDE, type Standing } from './accounts.ts';
import type { SandboxCheck, SandboxPlan } from './sandbox.ts';
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
  /** Whether it could make a file that runs as its owner. */
  setUid: z.boolean(),
  /** How many processes it saw. */
  processes: z.number(),
  /** Bytes that went into its scratch folder before that was full. */
  scratchBytes: z.number(),
  limits: z.string(),
});
export type Facts = z.infer<typeof factsSchema>;

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

const SCRATCH_MB = 4;
const SCRATCH_BYTES = SCRATCH_MB * 1024 * 1024;

const PROBE = `
import { chmodSync, constants, closeSync, existsSync, openSync, readFileSync, readlinkSync, readdirSync, unlinkSync, writeSync } from 'node:fs';
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
const works = (attempt) => { try { attempt(); return true; } catch { return false; } };
const fill = (path, most) => {
  const file = openSync(path, 'w');
  const chunk = Buffer.alloc(1024 * 1024);
  let bytes = 0;
  try { while (bytes < most) bytes += writeSync(file, chunk); } catch {}
  closeSync(file);
  unlinkSync(path);
  return bytes;
};
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
  setUid: works(() => chmodSync('/tmp/probe', 0o4755)),
  processes: readdirSync("/proc").filter((name) => /^\\d+$/.test(name)).length,
  scratchBytes: fill('/tmp/fill', ${2 * SCRATCH_BYTES}),
  limits: text('/proc/self/limits'),
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
    limits: { memoryMb: 256, cpus: 1, pids: 32, diskMb: SCRATCH_MB },
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
 * Runs the probe to its end and judges what it saw. It looks at what a wrong kernel, setting or version would spoil;
 * the attack tests look at everything else. `remedy` is what each bad check names.
 */
export async function probeChecks(
  probe: Pick<SpawnedSandbox, 'stdin' | 'stdout' | 'stderr' | 'exited' | 'kill'>,
  uid: number,
  remedy: string,
): Promise<SandboxCheck[]> {
  const startedAt = performance.now();
  const timer = setTimeout(() => void probe.kill(), TIMEOUT_MS);
  probe.stdin.end();
  const [output, said, exit] = await Promise.all([text(probe.stdout), text(probe.stderr), probe.exited]);
  clearTimeout(timer);
  const facts = factsSchema.safeParse(asJson(output));
  if (!facts.success) {
    const why = [exit.reason ?? exit.signal ?? `exit ${exit.code}`, said.trim()].filter(Boolean).join(': ');
    return [notRun(why, remedy)];
  }
  const ms = Math.round(performance.now() - startedAt);
  return [
    { id: 'probe', state: 'ok', detail: `A probe ran in the sandbox, in ${ms} ms.` },
    ...judge(facts.data, uid, remedy),
  ];
}

/** The one check of a probe that could not be run. */
export function notRun(why: string, remedy: string): SandboxCheck {
  return {
    id: 'probe',
    state: 'bad',
    detail: `The sandbox does not hold: the probe did not run (${why.replaceAll(/\s+/g, ' ').replace(/\.$/, '')}).`,
    remedy,
  };
}

/** Every check on what a probe saw that ran under this account, as it is numbered inside. */
export function judge(facts: Facts, uid: number, remedy: string): SandboxCheck[] {
  const checks = facts.network === undefined ? CHECKS : [...CHECKS, ...NETWORK_CHECKS];
  return checks.map(({ id, good, bad, holds }) =>
    holds(facts, uid)
      ? { id, state: 'ok', detail: `${good}.` }
      : { id, state: 'bad', detail: `The sandbox does not hold: ${bad}.`, remedy },
  );
}

/**
 * What a probe with a network says about granting hosts: what is particular to it, and all that did not hold beside.
 * Nothing of it keeps the sandbox from being used without a network.
 */
export function hostFilterChecks(probed: readonly SandboxCheck[]): SandboxCheck[] {
  const own = new Set(NETWORK_CHECKS.map(({ id }) => id));
  return probed
    .filter(({ id, state }) => own.has(id) || state === 'bad')
    .map((check) => ({
      ...check,
      id: `host-filter-${check.id}`,
      state: check.state === 'bad' ? ('note' as const) : check.state,
    }));
}

/** The account of the probe as it is numbered inside. */
export function uidInside(standing: Standing): number {
  return standing.kind === 'account' ? standing.uid : INSIDE.uid;
}

interface ProbeCheck {
  id: string;
  good: string;
  bad: string;
  holds: (facts: Facts, uid: number) => boolean;
}

const CHECKS: readonly ProbeCheck[] = [
  {
    id: 'account',
    good: 'It ran under the account that it should',
    bad: 'the probe ran under another account',
    holds: ({ uid }, expected) => uid === expected,
  },
  {
    id: 'capabilities',
    good: 'It had no capability',
    bad: 'the probe had capabilities',
    holds: ({ status }) =>
      ['Inh', 'Prm', 'Eff', 'Bnd', 'Amb'].every((set) => new RegExp(`^Cap${set}:\\s+0+$`, 'm').test(status)),
  },
  {
    id: 'no-new-privileges',
    good: 'It could gain no privilege',
    bad: 'the probe could gain privileges',
    holds: ({ status }) => /^NoNewPrivs:\s+1$/m.test(status),
  },
  {
    id: 'seccomp',
    good: 'Its system calls were filtered',
    bad: 'the system call filter was not in force',
    holds: ({ status, setUid }) => /^Seccomp:\s+2$/m.test(status) && !setUid,
  },
  {
    id: 'network',
    good: 'It saw no network',
    bad: 'the probe saw a network',
    holds: ({ interfaces }) =>
      interfaces
        .split('\n')
        .slice(2)
        .filter(Boolean)
        .every((line) => /^\s*lo:/.test(line)),
  },
  {
    id: 'environment',
    good: 'It saw no environment but its own',
    bad: 'the probe saw the environment of the hub',
    holds: ({ environment, firstEnvironment, network }) =>
      environment.every(
        (name) => OWN_VARIABLES.includes(name) || (network !== undefined && NETWORK_VARIABLES.includes(name)),
      ) &&
      firstEnvironment
        .split('\0')
        .every((entry) => !entry.includes('=') || OWN_VARIABLES.includes(entry.slice(0, entry.indexOf('=')))),
  },
  {
    id: 'descriptors',
    good: 'It held no file of the hub',
    bad: 'the probe held a file of the hub',
    holds: ({ descriptors }) =>
      descriptors.every((target) => !/^\/(?!dev\/null$|dev\/pts|proc\/|skill\/)/.test(target)),
  },
  {
    id: 'processes',
    good: 'It saw no process but its own',
    bad: 'the probe saw other processes',
    holds: ({ processes }) => processes <= OWN_PROCESSES,
  },
  {
    id: 'unseen',
    good: 'It saw no file of the machine',
    bad: 'the probe saw files of the machine',
    holds: ({ seen }) => seen.length === 0,
  },
  {
    id: 'unwritable',
    good: 'It could write nowhere but in its folders',
    bad: 'the probe could write outside of its folders',
    holds: ({ written }) => written.length === 0,
  },
  {
    id: 'devices',
    good: 'Its devices and scratch folders worked',
    bad: 'the devices or scratch folders did not work',
    holds: ({ devices }) => devices,
  },
  {
    id: 'scratch-bound',
    good: 'Its scratch space was bounded',
    bad: 'the probe could write more scratch data than it was allowed',
    holds: ({ scratchBytes }) => scratchBytes <= SCRATCH_BYTES,
  },
  {
    id: 'resource-limits',
    good: 'Its open files and core files were bounded',
    bad: 'the limits on open files or core files were not in force',
    holds: ({ limits }) =>
      /^Max core file size\s+0\s+0\s/m.test(limits) && /^Max open files\s+\d{1,4}\s+\d{1,4}\s/m.test(limits),
  },
];

/** What else holds where the probe has a network that leads to this process. */
const NETWORK_CHECKS: readonly ProbeCheck[] = [
  {
    id: 'reaches-hub',
    good: 'By its own network it reached the hub',
    bad: 'the probe did not reach the hub by its network',
    holds: ({ network }) => network?.open === GREETING && network.name === GREETING,
  },
  {
    id: 'reaches-nothing-else',
    good: 'By its own network it reached nothing that was not opened',
    bad: 'the probe reached what was not opened',
    holds: ({ network }) => network?.shut === 'ECONNREFUSED',
  },
];
/** The probe, and the processes of bubblewrap around it. */
const OWN_PROCESSES = 3;
/** What every sandbox sets, and what bubblewrap (PWD) and containers (HOSTNAME) add. */
const OWN_VARIABLES = ['PATH', 'HOME', 'TMPDIR', 'LANG', 'PWD', 'HOSTNAME'];
/** With a network also where certificates are. */
const NETWORK_VARIABLES = ['SSL_CERT_FILE', 'REQUESTS_CA_BUNDLE', 'CURL_CA_BUNDLE', 'NODE_EXTRA_CA_CERTS'];

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
