import type { Logger } from '../../protocol/node/logger.ts';
import { createBwrapDriver } from './bwrap.ts';
import { createContainerDriver, type ContainerOptions } from './container.ts';
import type { SandboxDriver } from './sandbox.ts';

/** The drivers that a hub can be configured with. */
export type DriverName = 'bwrap' | 'container';

/** The one that is named, whatever the machine has: none stands in for another. */
export function createSandboxDriver(
  name: DriverName,
  options: ContainerOptions & { log: Logger },
): SandboxDriver {
  return name === 'container' ? createContainerDriver(options) : createBwrapDriver(options);
}
