import { join } from 'node:path';
import { adminApi } from '../hub/admin-api.ts';
import { saveClientToken } from './client-tokens.ts';
import type { Context } from './command.ts';
import { berthRoot } from './root.ts';

/** Keeps the token of a client that was just added; one whose token cannot be kept is of no use to anybody and goes. */
export async function keepToken(context: Context, name: string, token: string): Promise<void> {
  try {
    await saveClientToken(context.home, name, token);
  } catch (error) {
    await context.hub(adminApi.removeClient, { params: { client: name } });
    throw error;
  }
}

/** How a client starts `berth proxy`, by whole paths: a program with windows has another PATH than a shell. */
export function proxyWay(
  { settings, home }: Pick<Context, 'settings' | 'home'>,
  client: string,
): { command: string; args: string[] } {
  return {
    command: process.execPath,
    args: [
      join(berthRoot(), 'cli', 'berth.js'),
      'proxy',
      '--client',
      client,
      ...(settings.usualHome ? [] : ['--home', home]),
    ],
  };
}
