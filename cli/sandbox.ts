import { join } from 'node:path';
import type { Egress } from '../hub/egress/egress.ts';
import { createSandboxDriver } from '../hub/sandbox/drivers.ts';
import type { SandboxDriver } from '../hub/sandbox/sandbox.ts';
import { createLogger } from '../protocol/node/logger.ts';
import type { Context } from './command.ts';

/**
 * The sandbox in which skills are packed and checked: of the kind that the hub of this home is configured with, with
 * its files beside the hub's or elsewhere. Nothing that runs in it has a network; with an `egress` it looks whether it
 * could hold one to hosts.
 * @throws AppError `config-invalid`.
 */
export async function openSandbox(
  context: Pick<Context, 'home' | 'settings'>,
  stateDir: string = join(context.home, 'pack', 'sandbox'),
  egress?: Egress,
): Promise<SandboxDriver> {
  const { loadHubConfig } = await import('./servers-here.ts');
  const { sandbox, path, node, python, requires, container } = await loadHubConfig(context, {});
  return createSandboxDriver(sandbox, {
    path,
    node,
    python,
    stateDir,
    forbidden: [context.home],
    requires,
    container,
    log: createLogger({ level: 'silent', name: 'sandbox' }),
    ...(egress === undefined ? {} : { egress }),
  });
}
