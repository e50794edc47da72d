import { join } from 'node:path';
import type { Egress } from '../hub/egress/egress.ts';
import { createBwrapDriver } from '../hub/sandbox/bwrap.ts';
import type { BwrapOptions } from '../hub/sandbox/machine.ts';
import type { SandboxDriver } from '../hub/sandbox/sandbox.ts';
import type { Tracer } from '../hub/sandbox/tracer.ts';
import { createLogger } from '../protocol/node/logger.ts';
import type { Context } from './command.ts';

/**
 * The sandbox in which skills are packed and checked; the same as the hub's, with its files beside the hub's or
 * elsewhere. It has a network only with an `egress`, and with a `tracer` it is one to learn in.
 */
export function openSandbox(
  { home, settings }: Pick<Context, 'home' | 'settings'>,
  stateDir: string = join(home, 'pack', 'sandbox'),
  {
    egress,
    tracer,
    ...more
  }: { egress?: Egress; tracer?: Tracer } & Pick<BwrapOptions, 'node' | 'python' | 'certificates'> = {},
): SandboxDriver {
  return createBwrapDriver({
    ...more,
    ...(tracer === undefined ? {} : { tracer }),
    path: settings.environment['PATH'] ?? '',
    stateDir,
    forbidden: [home],
    log: createLogger({ level: 'silent', name: 'sandbox' }),
    ...(egress === undefined ? {} : { egress }),
  });
}
