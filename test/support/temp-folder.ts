import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

/** An empty folder of mode 0700 that goes away with the test that asked for it. */
export async function tempFolder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'berth-test-'));
  onTestFinished(() => rm(path, { recursive: true, force: true }));
  return path;
}
