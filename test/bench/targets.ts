import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { type BenchHub, firstLine } from './bench-hub.ts';
import type { EchoPackage } from './echo-package.ts';
import { directClient, echoing, legacyClient, modernClient } from './mcp.ts';

/** Something that calls the echo skill, with the same package of it behind all of them. */
export interface Target {
  name: string;
  /** The process that is measured, with what runs below it as the skill; none where there is only the skill. */
  pid?: number;
  /** The most clients it is tried with. */
  clients: number;
  /** Connects one client; what it answers with is one call. */
  connect(): Promise<() => Promise<void>>;
  stop(): Promise<void>;
}

const MOST_CLIENTS = 64;

/** The skill over its pipes. */
export async function direct(echo: EchoPackage): Promise<Target> {
  const client = await directClient(echo);
  return {
    name: 'direct stdio',
    clients: MOST_CLIENTS,
    connect: async () => echoing(client, 'echo'),
    stop: async () => client.close(),
  };
}

/** The least that can stand between HTTP and a skill. */
export async function rawProxy(echo: EchoPackage): Promise<Target> {
  return proxied(echo, 'raw proxy');
}

/** The least that can stand there and keep a record of each call: what its records alone cost a hub. */
export async function recordingProxy(echo: EchoPackage, hub: BenchHub): Promise<Target> {
  const database = join(hub.home, 'recording-proxy.db');
  return proxied(echo, 'raw proxy that records', ['--record', database]);
}

async function proxied(echo: EchoPackage, name: string, args: readonly string[] = []): Promise<Target> {
  const command = [join(import.meta.dirname, 'raw-proxy.mjs'), ...args, process.execPath];
  const proxy = spawn(process.execPath, [...command, join(echo.folder, echo.entry)], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const port = await firstLine(proxy);
  return {
    name,
    pid: proxy.pid ?? 0,
    clients: MOST_CLIENTS,
    connect: async () => echoing(await legacyClient(`http://127.0.0.1:${port}/mcp`), 'echo'),
    stop: async () => void proxy.kill('SIGKILL'),
  };
}

/** The hub with token, argument check, policy and durable audit. */
export function hubTarget(hub: BenchHub, token: string, era: '2025-11-25' | '2026-07-28'): Target {
  const client = era === '2025-11-25' ? legacyClient : modernClient;
  return {
    name: `hub, ${era}`,
    pid: hub.pid,
    clients: MOST_CLIENTS,
    connect: async () => echoing(await client(hub.mcp, token), 'echo__echo'),
    stop: async () => undefined,
  };
}
