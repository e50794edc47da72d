import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import type { SandboxDriver, SandboxedProcess, SandboxExit, SandboxPlan } from '../../hub/sandbox/sandbox.ts';

/**
 * FOR TESTS ONLY: runs a plan's process as a plain child, held to nothing. It speaks the real protocol to a
 * real process, for tests of what stands above the sandbox; the product has no such driver.
 */
export function plainDriver(): SandboxDriver & { started: SandboxPlan[] } {
  const started: SandboxPlan[] = [];
  return {
    name: 'plain',
    started,
    report: async () => ({
      driver: 'plain',
      usable: true,
      enforces: [],
      requires: [],
      checks: [],
      notes: ['Holds skills to nothing.'],
    }),
    async start(plan) {
      started.push(plan);
      const { PATH = '' } = process.env;
      const child = spawn(
        process.execPath,
        [join(plan.packageDir, plan.runtime.entry), ...plan.runtime.args],
        {
          cwd: plan.packageDir,
          env: { PATH, ...plan.env },
          detached: true,
          stdio: ['pipe', 'pipe', 'pipe'],
        },
      );
      return asProcess(child);
    },
    makeOwned: async () => undefined,
    describeMount: async () => 'not at all',
    hostFiles: async () => [],
  };
}

function asProcess(child: ChildProcess): SandboxedProcess {
  const { pid = 0, stdin, stdout, stderr } = child;
  if (stdin === null || stdout === null || stderr === null) throw new Error('The child has no pipes.');
  const exited = new Promise<SandboxExit>((resolve) => {
    child.once('exit', (code, signal) => resolve({ code, signal }));
  });
  return {
    pid,
    stdin,
    stdout,
    stderr,
    exited,
    weigh: () => undefined,
    enter: () => () => undefined,
    async kill() {
      try {
        process.kill(-pid, 'SIGKILL');
      } catch {
        // It is gone already.
      }
      await exited;
    },
  };
}
