import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, it, onTestFinished } from 'vitest';
import { memoryOfTrees } from '../../../hub/runner/memory.ts';
import { verifies } from '../../support/verifies.ts';

const MB = 1024 * 1024;

/** A process that fills this much memory in a child of its own, once it says so. */
async function filling(megabytes: number): Promise<number> {
  const fill = `globalThis.kept = Buffer.alloc(${megabytes} * 1024 * 1024, 1); console.log('full');`;
  const stay = 'setInterval(() => undefined, 1e6);';
  const start = `require('node:child_process').spawn(process.execPath, ['-e', ${JSON.stringify(fill + stay)}], { stdio: 'inherit' });`;
  const child = spawn(process.execPath, ['-e', start + stay], {
    detached: true,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const { pid = 0 } = child;
  onTestFinished(() => void process.kill(-pid, 'SIGKILL'));
  await once(child.stdout, 'data');
  return pid;
}

it('what a process and everything below it takes is measured', verifies('runner.memory'), async () => {
  const [large, small] = await Promise.all([filling(96), filling(1)]);
  const gone = 4_194_304;
  const sizes = await memoryOfTrees([large, small, gone]);
  const more = (sizes.get(large) ?? 0) - (sizes.get(small) ?? 0);
  expect(more / MB).toBeGreaterThan(85);
  expect(more / MB).toBeLessThan(110);
  expect(sizes.get(small)).toBeGreaterThan(MB);
  expect(sizes.get(gone)).toBe(0);
});
