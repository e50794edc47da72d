import { join } from 'node:path';
import { describe } from 'vitest';
import { createSandboxDriver, type DriverName } from '../../hub/sandbox/drivers.ts';
import { createLogger } from '../../protocol/node/logger.ts';
import { containerRuntime, FORM_NAMES_WITH_CONTAINERS, isContainer } from '../attacks/sandbox/forms.ts';
import { type DriverOrder, sandboxDriverContract } from './sandbox-driver.ts';

// The driver takes its PATH as an option; the tests look where a hub on this machine would.
const { PATH = '' } = process.env; // oxlint-disable-line node/no-process-env

const driver =
  (name: DriverName) =>
  ({ home, requires = [], log = createLogger({ level: 'silent', name: 'test' }) }: DriverOrder) =>
    createSandboxDriver(name, {
      path: PATH,
      stateDir: join(home, 'sandbox'),
      forbidden: [home],
      requires,
      container: containerRuntime(),
      log,
    });

describe('the sandbox of bubblewrap', () => {
  sandboxDriverContract(driver('bwrap'));
});

// Only in the run for containers (see the forms).
describe.each(FORM_NAMES_WITH_CONTAINERS.filter(isContainer))('the sandbox of a hub that is %s', () => {
  sandboxDriverContract(driver('container'));
});
