import type { Logger } from '../../protocol/node/logger.ts';
import type { Egress } from '../egress/egress.ts';
import { createBwrapDriver, type NetworkingDriver } from './bwrap.ts';
import { createContainerDriver, type ContainerOptions } from './container.ts';

/** The drivers that a hub can be configured with. */
export type DriverName = 'bwrap' | 'container';

interface DriverOptions extends ContainerOptions {
  log: Logger;
  /** What serves the networks of skills; containers have none, and say so (`hostFilter`). */
  egress?: Egress | undefined;
}

/** The one that is named, whatever the machine has: none stands in for another. */
export function createSandboxDriver(
  name: DriverName,
  { egress, ...options }: DriverOptions,
): NetworkingDriver {
  if (name === 'bwrap') return createBwrapDriver({ ...options, egress });
  return {
    ...createContainerDriver(options),
    keepReady: () => undefined,
    close: async () => undefined,
  };
}
