import { AppError } from '../../protocol/errors.ts';
import type { Logger } from '../../protocol/node/logger.ts';
import type { Egress } from '../egress/egress.ts';
import { createBwrapDriver, type NetworkingDriver } from './bwrap.ts';
import { createContainerDriver, type ContainerOptions } from './container.ts';
import type { Tracer } from './tracer.ts';

/** The drivers that a hub can be configured with. */
export type DriverName = 'bwrap' | 'container';

interface DriverOptions extends ContainerOptions {
  log: Logger;
  /** What serves the networks of skills; containers have none, and say so (`hostFilter`). */
  egress?: Egress | undefined;
  /** Watches what is started, for learn runs; it stands around bubblewrap alone. */
  tracer?: Tracer | undefined;
}

/**
 * The one that is named, whatever the machine has: none stands in for another.
 * @throws AppError `learn-unavailable` for a tracer that the driver has no place for.
 */
export function createSandboxDriver(
  name: DriverName,
  { egress, tracer, ...options }: DriverOptions,
): NetworkingDriver {
  if (name === 'bwrap') return createBwrapDriver({ ...options, egress, tracer });
  if (tracer !== undefined) {
    throw new AppError('learn-unavailable', {
      detail: 'What a skill does cannot be watched in a container.',
      hint: 'Learn with the setting sandbox: bwrap (BERTH_HUB_SANDBOX=bwrap).',
    });
  }
  return {
    ...createContainerDriver(options),
    keepReady: () => undefined,
    close: async () => undefined,
  };
}
