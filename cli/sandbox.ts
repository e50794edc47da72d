import { join } from 'node:path';
import { createSandboxDriver } from '../hub/sandbox/drivers.ts';
import type { SandboxDriver } from '../hub/sandbox/sandbox.ts';
import { createLogger } from '../protocol/node/logger.ts';
import type { Context } from './command.ts';

/**
 * The sandbox in which skills are packed and checked: of the kind that the hub of this home is configured with, with
 * its files beside the hub's or elsewhere.
 * @throws AppError `config-invalid`.
 */
export async function openSandbox(
  context: Pick<Context, 'home' | 'settings'>,
  stateDir: string = join(context.home, 'pack', 'sandbox'),
): Promise<SandboxDriver> {
  const { loadHubConfig } = await import('./servers-here.ts');
  const { sandbox, path, requires, container } = await loadHubConfig(context, {});
  return createSandboxDriver(sandbox, {
    path,
    stateDir,
    forbidden: [context.home],
    requires,
    container,
    log: createLogger({ level: 'silent', name: 'sandbox' }),
  });
}
