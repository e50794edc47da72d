import { copyFile, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { packSkill } from '../../cli/pack.ts';
import { systemClock } from '../../hub/clock.ts';
import { createEgress } from '../../hub/egress/session.ts';
import { type NetworkingDriver, createBwrapDriver } from '../../hub/sandbox/bwrap.ts';
import type { SandboxDriver, SandboxPlan } from '../../hub/sandbox/sandbox.ts';
import { createLogger, type Logger } from '../../protocol/node/logger.ts';
import { type EchoPackage, planOf, withArchive } from './echo-package.ts';
import { sandboxPeer, type SandboxPeer } from './sandbox-peer.ts';

/** What the benchmarks of the sandbox share: the real driver, one packed skill, and the peer where it can run. */
export interface SandboxRig {
  driver: SandboxDriver;
  echo: EchoPackage;
  /** A driver of its own that makes networks. */
  networked(): NetworkingDriver;
  /** Where the program lies, as a package, that goes out. */
  traveller: string;
  /** A start of the skill with nothing granted. */
  plan: SandboxPlan;
  peer: SandboxPeer;
  log: Logger;
}

/** The name under which a server of this machine is granted. */
export const HOST = 'far.test';

/** A start with this one host granted, to be used at any time. */
export function networkedPlan(plan: SandboxPlan, port: number): SandboxPlan {
  return {
    ...plan,
    holder: { skill: 'local.bench/traveller', user: 'owner', background: true },
    network: [{ host: HOST, port, protocol: 'tcp', address: '127.0.0.1' }],
  };
}

/** The rig, for as long as the work takes. */
export async function withSandboxRig(work: (rig: SandboxRig) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'berth-bench-sandbox-'));
  const log = createLogger({ level: 'silent', name: 'bench' });
  const options = {
    path: process.env['PATH'] ?? '',
    stateDir: join(folder, 'state'),
    forbidden: [],
    log,
  };
  const driver = createBwrapDriver(options);
  let drivers = 0;
  const networked = () => {
    const egress = createEgress({
      clock: systemClock,
      resolve: async () => [],
      doors: () => [],
      events: () => undefined,
    });
    drivers += 1;
    return createBwrapDriver({ ...options, stateDir: join(folder, `state-${drivers}`), egress });
  };
  try {
    const { usable, problem } = await driver.report();
    if (!usable) throw new Error(`There is no sandbox to measure: ${problem?.detail ?? ''}`);
    const { archive } = await packSkill({ driver }, join(import.meta.dirname, 'echo'));
    const traveller = join(folder, 'traveller');
    await mkdir(traveller, { mode: 0o755 });
    await copyFile(join(import.meta.dirname, 'traveller.mjs'), join(traveller, 'traveller.mjs'));
    const peer = await sandboxPeer(join(folder, 'peer'));
    await withArchive(archive, (echo) =>
      work({ driver, networked, traveller, echo, plan: planOf(echo), peer, log }),
    );
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
