import { realpath } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import type { Context } from './command.ts';
import { berthRoot } from './root.ts';
import { shellWord } from './shell-word.ts';

/**
 * What to type in another shell before `berth …` means this Berth and this home; nothing when it does so by itself.
 * A function rather than an alias: scripts don't see aliases.
 */
export async function waysToRun({ settings, home }: Pick<Context, 'settings' | 'home'>): Promise<string[]> {
  const script = join(berthRoot(), 'cli', 'berth.js');
  const found = await firstOnPath('berth', settings.environment['PATH'] ?? '');
  return [
    ...(found === script ? [] : [`berth() { node ${shellWord(script)} "$@"; }`]),
    ...(settings.usualHome ? [] : [`export BERTH_HOME=${shellWord(home)}`]),
  ];
}

async function firstOnPath(program: string, path: string): Promise<string | undefined> {
  // What npm adds for its scripts is not on the PATH of another shell.
  const folders = path
    .split(delimiter)
    .filter((name) => name.startsWith('/') && !name.includes('/node_modules/'));
  for (const folder of folders) {
    const found = await realpath(join(folder, program)).catch(() => undefined);
    if (found !== undefined) return found;
  }
  return undefined;
}
