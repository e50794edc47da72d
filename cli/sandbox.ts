import { join } from 'node:path';
import { createBwrapDriver } from '../hub/sandbox/bwrap.ts';
import type { SandboxDriver } from '../hub/sandbox/sandbox.ts';
import { createLogger } from '../protocol/node/logger.ts';
import type { Context } from './command.ts';

/** The sandbox in which skills are packed and checked; the same as the hub's, with its files beside the hub's. */
export function openSandbox({ home, settings }: Pick<Context, 'home' | 'settings'>): SandboxDriver {
  return createBwrapDriver({
    path: settings.environment['PATH'] ?? '',
    stateDir: join(home, 'pack', 'sandbox'),
    forbidden: [home],
    log: createLogger({ level: 'silent', name: 'sandbox' }),
  });
}
