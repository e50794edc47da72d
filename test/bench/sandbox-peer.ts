import { execFileSync, spawn } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { EchoPackage } from './echo-package.ts';
import { type BenchClient, pipeClient } from './mcp.ts';
import { installLocked } from './peers.ts';

export const PEER = '@anthropic-ai/sandbox-runtime 0.0.83';

/** The sandbox that ours is compared with, or why it cannot run here. */
export type SandboxPeer =
  | { start(echo: EchoPackage): Promise<{ client: BenchClient; pid: number }> }
  | { missing: string };

/** It calls these, and takes them from the machine. */
const PROGRAMS = ['bwrap', 'socat', 'rg'];
/** As it is when nothing is configured but that nothing may be written or reached. */
const SETTINGS = {
  network: { allowedDomains: [], deniedDomains: [] },
  filesystem: { denyRead: [], allowWrite: [], denyWrite: [] },
};

/** Installs it into a folder. */
export async function sandboxPeer(folder: string): Promise<SandboxPeer> {
  const missing = PROGRAMS.filter((program) => !isThere(program));
  if (missing.length > 0) return { missing: `it needs ${missing.join(' and ')} on this machine` };
  await mkdir(folder);
  await installLocked('sandbox-peer', folder);
  const settings = join(folder, 'settings.json');
  await writeFile(settings, JSON.stringify(SETTINGS));
  const program = join(folder, 'node_modules/@anthropic-ai/sandbox-runtime/dist/cli.js');
  return {
    async start(echo) {
      const command = [process.execPath, join(echo.folder, echo.entry)];
      const child = spawn(process.execPath, [program, '--settings', settings, ...command], {
        cwd: echo.folder,
        env: { PATH: process.env['PATH'], HOME: folder },
        stdio: ['pipe', 'pipe', 'ignore'],
        detached: true,
      });
      const { pid = 0 } = child;
      const client = await pipeClient(child.stdin, child.stdout, () => process.kill(-pid, 'SIGKILL'));
      return { client, pid };
    },
  };
}

function isThere(program: string): boolean {
  try {
    execFileSync('sh', ['-c', `command -v ${program}`], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
