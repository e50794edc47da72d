import { type ChildProcess, spawn } from 'node:child_process';
import type { Socket as DatagramSocket } from 'node:dgram';
import { type FileHandle, open } from 'node:fs/promises';
import type { Server } from 'node:net';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import { AppError } from '../../protocol/errors.ts';
import type { SandboxListeners } from '../egress/egress.ts';
import type { Machine } from './machine.ts';
import { initProgram } from './netns-init.ts';
import { identityOf, killExactly, markOf, signal } from './processes.ts';

/** A network namespace that holds nothing but a loopback, and sockets in it that the hub listens at. */
export interface SandboxNetwork {
  listeners: SandboxListeners;
  /** The command that goes before another one, so that this one starts in the namespace. */
  enter: readonly string[];
  /** Lets go of the namespace itself, once a process is in it; the listeners stay. Safe to call twice. */
  entered(): Promise<void>;
  /** Closes the listeners, too. With the last process in it the namespace is gone. Safe to call twice. */
  close(): Promise<void>;
}

/** From the decision until the namespace is ready: a Node has to start in it. */
const INIT_TIMEOUT_MS = 10_000;
const MAX_WORDS = 2000;

/** The descriptors of the first process: the channel to it is the one before. */
const STATUS = 4;

const messageSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('server'), port: z.int() }),
  z.object({ kind: z.literal('dns-tcp') }),
  z.object({ kind: z.literal('dns-udp') }),
  z.object({ kind: z.literal('ready') }),
  z.object({ kind: z.literal('failed'), message: z.string() }),
]);
const statusLine = z.object({ 'child-pid': z.int().positive() });

/**
 * Makes a namespace in which the hub listens at these ports and at port 53. Nothing stays in it: its first process
 * binds the sockets, hands them over and ends, and the hub keeps it by open descriptors (docs/adr/0009-egress.md).
 * @throws AppError `skill-start-failed`.
 */
export async function makeNetwork(machine: Machine, ports: readonly number[]): Promise<SandboxNetwork> {
  const nothing = await open('/dev/null', 'r+');
  const child = spawnInit(machine, ports, nothing.fd);
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', () => resolve());
  });
  const words = lastWords(child);
  const received = receive(child, ports);
  let timer: NodeJS.Timeout | undefined;
  const tooLong = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(failed(`it took longer than ${INIT_TIMEOUT_MS} ms`)), INIT_TIMEOUT_MS);
  });
  const tooEarly = ended.then(async () => Promise.reject(failed(await words)));
  for (const promise of [tooLong, tooEarly, received.ready]) promise.catch(() => undefined);
  try {
    const [pid] = await Promise.race([Promise.all([firstPid(child), received.ready]), tooLong, tooEarly]);
    return await hold(machine, pid, received.listeners());
  } catch (error) {
    received.drop();
    throw error instanceof AppError ? error : failed(error instanceof Error ? error.message : String(error));
  } finally {
    clearTimeout(timer);
    await nothing.close();
    // It ends by itself when the channel is closed; one that hangs does not.
    if (child.pid !== undefined && child.exitCode === null && child.signalCode === null) signal(-child.pid);
    await ended;
  }
}

function spawnInit(machine: Machine, ports: readonly number[], nothing: number): ChildProcess {
  const own = machine.root ? [] : ['--unshare-user', '--uid', '1000', '--gid', '1000'];
  const options = [
    ...['--json-status-fd', String(STATUS), ...own, '--unshare-net', '--unshare-pid', '--unshare-ipc'],
    ...['--die-with-parent', '--new-session', '--cap-drop', 'ALL', '--cap-add', 'CAP_NET_BIND_SERVICE'],
    ...['--ro-bind', '/', '/', '--'],
  ];
  const stdio: ('ignore' | 'pipe' | 'ipc' | number)[] = ['ignore', 'ignore', 'pipe', 'ipc', 'pipe'];
  for (const number of machine.covered.filter((one) => one >= stdio.length)) {
    while (stdio.length < number) stdio.push('ignore');
    stdio[number] = nothing;
  }
  const child = spawn(machine.bwrap, [...options, process.execPath, '--eval', initProgram(ports)], {
    argv0: markOf(machine.hub, 'network'),
    cwd: '/',
    env: {},
    detached: true,
    stdio,
  });
  for (const stream of child.stdio) stream?.on('error', () => undefined);
  return child;
}

async function lastWords(child: ChildProcess): Promise<string> {
  let text = '';
  for await (const chunk of child.stderr ?? []) text = (text + String(chunk)).slice(0, MAX_WORDS);
  return text.trim() || 'it ended early';
}

function firstPid(child: ChildProcess): Promise<number> {
  return new Promise((resolve) => {
    const status = (child.stdio as readonly unknown[])[STATUS] as NodeJS.ReadableStream;
    createInterface({ input: status }).on('line', (line) => {
      const parsed = statusLine.safeParse(asJson(line));
      if (parsed.success) resolve(parsed.data['child-pid']);
    });
  });
}

/** Gathers what the first process hands over; nothing of it keeps this process alive. */
function receive(child: ChildProcess, ports: readonly number[]) {
  const servers = new Map<number, Server>();
  let tcp: Server | undefined;
  let udp: DatagramSocket | undefined;
  const ready = new Promise<void>((resolve, reject) => {
    child.on('message', (message, handle) => {
      (handle as Server | DatagramSocket | undefined)?.unref();
      const parsed = messageSchema.safeParse(message);
      if (!parsed.success) return reject(failed('it said what was not understood'));
      switch (parsed.data.kind) {
        case 'server':
          return void servers.set(parsed.data.port, handle as Server);
        case 'dns-tcp':
          return void (tcp = handle as Server);
        case 'dns-udp':
          return void (udp = handle as unknown as DatagramSocket);
        case 'ready':
          return resolve();
        case 'failed':
          return reject(failed(parsed.data.message));
      }
    });
  });
  return {
    ready,
    listeners(): SandboxListeners {
      const own = ports.map((port) => servers.get(port)).filter((server) => server !== undefined);
      if (own.length !== ports.length || tcp === undefined || udp === undefined)
        throw failed('it did not hand over every port');
      return { servers: own, dns: { udp, tcp } };
    },
    drop() {
      for (const server of [...servers.values(), tcp]) server?.close();
      udp?.close();
    },
  };
}

/** Opens the namespace while its first process is there still. */
async function hold(machine: Machine, pid: number, listeners: SandboxListeners): Promise<SandboxNetwork> {
  const first = await identityOf(pid);
  const handles: FileHandle[] = [];
  try {
    if (first === undefined || machine.nsenter === undefined) throw failed('it ended early');
    for (const kind of machine.root ? ['net'] : ['net', 'user'])
      handles.push(await open(`/proc/${pid}/ns/${kind}`));
  } catch (error) {
    await Promise.all(handles.map((handle) => handle.close()));
    throw error;
  } finally {
    if (first !== undefined) await killExactly(first);
  }
  const path = ({ fd }: FileHandle) => `/proc/${process.pid}/fd/${fd}`;
  const [net, user] = handles;
  if (net === undefined) throw failed('there is no namespace');
  let closed = false;
  let left: Promise<unknown> | undefined;
  const entered = async (): Promise<void> => {
    await (left ??= Promise.all(handles.map((handle) => handle.close())));
  };
  return {
    listeners,
    enter: [
      machine.nsenter,
      `--net=${path(net)}`,
      ...(user === undefined ? [] : [`--user=${path(user)}`, '--preserve-credentials']),
      '--',
    ],
    entered,
    async close() {
      await entered();
      if (closed) return;
      closed = true;
      for (const server of [...listeners.servers, listeners.dns.tcp]) if (server.listening) server.close();
      try {
        listeners.dns.udp.close();
      } catch {
        // Whoever served it has closed it already.
      }
    },
  };
}

function asJson(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

function failed(why: string): AppError {
  return new AppError('skill-start-failed', {
    detail: `No network could be made for a sandbox: ${why.replace(/\.$/, '')}.`,
    hint: 'Run `berth doctor`; it looks at the sandbox of this machine.',
  });
}
