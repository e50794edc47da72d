import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants, existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { Context } from './command.ts';

/**
 * Sees to it that bubblewrap is there: as root on Debian and its like it is installed, aloud; otherwise the one
 * command is named. Answers with what to warn about; empty when it is there. Whether it works is the driver's to say.
 */
export async function ensureBubblewrap(context: Context): Promise<string[]> {
  const path = context.settings.environment['PATH'] ?? '';
  if (onPath('bwrap', path)) return [];
  const mayInstall = process.getuid?.() === 0 && existsSync('/etc/debian_version') && onPath('apt-get', path);
  if (mayInstall) {
    context.stderr.write('bubblewrap is missing; installing it: apt-get install -y bubblewrap\n');
    if (await installed(context)) return [];
  }
  return [
    `bubblewrap is missing, so no skill can run here. Install it: ${installCommand(path)}, then start berth up again.`,
  ];
}

async function installed(context: Context): Promise<boolean> {
  const options = { env: { ...context.settings.environment, DEBIAN_FRONTEND: 'noninteractive' } };
  const apt = async (...words: string[]): Promise<boolean> => {
    const child = spawn('apt-get', words, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
    child.stdout.resume();
    let complaint = '';
    child.stderr.on(
      'data',
      (chunk: Buffer) => (complaint = (complaint + chunk.toString('utf8')).slice(-2_000)),
    );
    const [code] = (await once(child, 'close')) as [number | null];
    if (code !== 0) context.stderr.write(complaint);
    return code === 0;
  };
  // The lists of a fresh container are empty or old.
  return (await apt('update')) && (await apt('install', '-y', '--no-install-recommends', 'bubblewrap'));
}

function installCommand(path: string): string {
  if (onPath('dnf', path)) return 'sudo dnf install bubblewrap';
  if (onPath('pacman', path)) return 'sudo pacman -S bubblewrap';
  if (onPath('apk', path)) return 'sudo apk add bubblewrap';
  return 'sudo apt-get install bubblewrap';
}

function onPath(program: string, path: string): boolean {
  return path.split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return folder !== '';
    } catch {
      return false;
    }
  });
}
