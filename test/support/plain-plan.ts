import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { SandboxPlan } from '../../hub/sandbox/sandbox.ts';

/** A plan with nothing granted, for a package of these files that any account may read and run. */
export async function plainPlan(
  packageDir: string,
  files: Readonly<Record<string, string | Uint8Array>>,
  more: Partial<SandboxPlan> = {},
): Promise<SandboxPlan> {
  await mkdir(packageDir, { recursive: true });
  for (const [path, content] of Object.entries(files)) {
    const file = join(packageDir, path);
    await mkdir(dirname(file), { recursive: true, mode: 0o755 });
    await writeFile(file, content);
    await chmod(file, 0o755);
  }
  await chmod(packageDir, 0o755);
  return {
    label: 'org.example/plain@1.0.0',
    packageDir,
    runtime: { kind: 'node', entry: 'index.mjs', args: [] },
    mounts: [],
    scratch: [],
    env: {},
    programs: [],
    network: [],
    limits: { memoryMb: 256, cpus: 1, pids: 32, diskMb: 8 },
    ...more,
  };
}
