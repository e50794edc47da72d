import { join } from 'node:path';
import type { Egress } from '../hub/egress/egress.ts';
import { createSandboxDriver } from '../hub/sandbox/drivers.ts';
import { readCertificates } from '../hub/sandbox/certificates.ts';
import type { SandboxDriver } from '../hub/sandbox/sandbox.ts';
import type { Tracer } from '../hub/sandbox/tracer.ts';
import { createLogger } from '../protocol/node/logger.ts';
import type { Context } from './command.ts';

/**
 * The sandbox in which skills are packed and checked: of the kind that the hub of this home is configured with, with
 * its files beside the hub's or elsewhere. It has a network only with an `egress`, and with a `tracer` it is one to learn
 * in.
 * @throws AppError `config-invalid`, and `learn-unavailable` for a tracer where skills are held in containers.
 */
export async function openSandbox(
  context: Pick<Context, 'home' | 'settings'>,
  stateDir: string = join(context.home, 'pack', 'sandbox'),
  { egress, tracer }: { egress?: Egress; tracer?: Tracer } = {},
): Promise<SandboxDriver> {
  const { loadHubConfig } = await import('./servers-here.ts');
  const config = await loadHubConfig(context, {});
  const { sandbox, path, node, python, requires, container, sandboxCa } = config;
  return createSandboxDriver(sandbox, {
    ...(sandboxCa === undefined ? {} : { certificates: await readCertificates(sandboxCa) }),
    ...(tracer === undefined ? {} : { tracer }),
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
