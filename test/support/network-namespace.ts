import { spawn } from 'node:child_process';
import type { Socket as DatagramSocket } from 'node:dgram';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import type { Server } from 'node:net';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { SandboxListeners } from '../../hub/egress/egress.ts';
import { tempFolder } from './temp-folder.ts';

const SANDBOX = 'bwrap';

/** How a program in the namespace ended. */
export interface Ran {
  status: number;
  stdout: string;
  stderr: string;
}

type Told = { name: string } | ({ id: number } & Ran);

/**
 * A network namespace whose ports and names this process serves, and where programs run with the machine's files but no
 * other way out. It goes away with the test.
 */
export async function networkNamespace(ports: readonly number[]) {
  const folder = await tempFolder();
  const [resolv, nsswitch] = [join(folder, 'resolv.conf'), join(folder, 'nsswitch.conf')];
  await writeFile(resolv, 'nameserver 127.0.0.1\n');
  await writeFile(nsswitch, 'hosts: files dns\n');
  const ordinary = process.getuid?.() === 0 ? [] : ['--unshare-user', '--cap-add', 'CAP_NET_BIND_SERVICE'];
  const view = ['--dev-bind', '/', '/', '--ro-bind', resolv, '/etc/resolv.conf'];
  const names = ['--ro-bind', nsswitch, '/etc/nsswitch.conf'];
  const init = [process.execPath, join(import.meta.dirname, 'namespace-init.mjs'), JSON.stringify(ports)];
  const child = spawn(
    SANDBOX,
    ['--unshare-net', ...ordinary, '--die-with-parent', ...view, ...names, '--', ...init],
    { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] },
  );
  onTestFinished(async () => {
    if (child.exitCode !== null) return;
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  });

  const servers: Server[] = [];
  let dns: { udp?: DatagramSocket; tcp?: Server } = {};
  const waiting = new Map<number, (ran: Ran) => void>();
  const ready = new Promise<void>((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`The namespace ended with ${code}.`)));
    child.on('message', (told: Told, handle) => {
      if ('id' in told) return waiting.get(told.id)?.(told);
      if (told.name === 'server') servers.push(handle as Server);
      else if (told.name === 'udp') dns = { ...dns, udp: handle as DatagramSocket };
      else if (told.name === 'dns') dns = { ...dns, tcp: handle as Server };
      else resolve();
    });
  });
  await ready;
  return {
    listeners: { servers, dns } as SandboxListeners,
    /** Runs a program in there, to its end. */
    run: (program: string, args: readonly string[], env: Readonly<Record<string, string>> = {}) =>
      new Promise<Ran>((resolve) => {
        const id = waiting.size + 1;
        waiting.set(id, resolve);
        child.send({ id, run: [program, args], env });
      }),
  };
}
