import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { packSkill } from '../../cli/pack.ts';
import { createBwrapDriver } from '../../hub/sandbox/bwrap.ts';
import type { SandboxDriver, SandboxPlan } from '../../hub/sandbox/sandbox.ts';
import { createLogger, type Logger } from '../../protocol/node/logger.ts';
import { type EchoPackage, planOf, withArchive } from './echo-package.ts';
import { sandboxPeer, type SandboxPeer } from './sandbox-peer.ts';

/** What the benchmarks of the sandbox share: the real driver, one packed skill, and the peer where it can run. */
export interface SandboxRig {
  driver: SandboxDriver;
  echo: EchoPackage;
  /** A start of the skill with nothing granted. */
  plan: SandboxPlan;
  peer: SandboxPeer;
  log: Logger;
}

/** The rig, for as long as the work takes. */
export async function withSandboxRig(work: (rig: SandboxRig) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'berth-bench-sandbox-'));
  const log = createLogger({ level: 'silent', name: 'bench' });
  const driver = createBwrapDriver({
    path: process.env['PATH'] ?? '',
    stateDir: join(folder, 'state'),
    forbidden: [],
    log,
  });
  try {
    const { usable, problem } = await driver.report();
    if (!usable) throw new Error(`There is no sandbox to measure: ${problem?.detail ?? ''}`);
    const { archive } = await packSkill({ driver }, join(import.meta.dirname, 'echo'));
    const peer = await sandboxPeer(join(folder, 'peer'));
    await withArchive(archive, (echo) => work({ driver, echo, plan: planOf(echo), peer, log }));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
