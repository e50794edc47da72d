import { AppError } from '../../protocol/errors.ts';
import type { Logger } from '../../protocol/node/logger.ts';
import { systemClock } from '../clock.ts';
import type { Egress } from '../egress/egress.ts';
import { describeStanding, nameOf, type Standing, standingFor } from './accounts.ts';
import { findOut, type Found, UNPRIVILEGED } from './bwrap-report.ts';
import { createDataFolders } from './data-folders.ts';
import { launch } from './launch.ts';
import type { BwrapOptions, Machine } from './machine.ts';
import { type HeldMount, holdAsGranted, makeFolder, refuseUnusable } from './mounts.ts';
import { refuseUnenforceable } from './needs.ts';
import { makeNetwork } from './network.ts';
import { withNetwork } from './network-session.ts';
import { hostFilesOf } from './programs.ts';
import { createReadyNetworks } from './ready-networks.ts';
import type { SandboxDriver } from './sandbox.ts';
import { startPlan } from './start-plan.ts';
import type { Tracer } from './tracer.ts';
import { ownMountTable } from './verify-mounts.ts';

/** A driver that makes networks ahead of their use. */
export interface NetworkingDriver extends SandboxDriver {
  /** From now on keeps a network ready for each of these lists of ports, and no other. */
  keepReady(ports: readonly (readonly number[])[]): void;
  /** Drops the networks that nobody used. */
  close(): Promise<void>;
}

/**
 * The sandbox of Linux: bubblewrap, a system call filter, resource limits and, where the hub is root,
 * control groups and an unprivileged account. It answers for what it reports, because its first
 * report runs a probe in it; nothing runs while that fails.
 */
export function createBwrapDriver({
  log,
  egress,
  tracer,
  ...options
}: BwrapOptions & {
  log: Logger;
  /** Serves the networks of sandboxes; absent: no hosts can be granted, and nothing is looked at for it. */
  egress?: Egress | undefined;
  /** Watches what is started, for learn runs alone; a hub that serves has none. */
  tracer?: Tracer | undefined;
}): NetworkingDriver {
  let looked: Promise<Found> | undefined;
  const dataFolders = createDataFolders();
  const found = () => (looked ??= findOut(options, egress !== undefined));
  const networks = createReadyNetworks({
    after: systemClock.after,
    make: async (ports) => makeNetwork((await usable()).machine, ports),
    failed: (error) => log.warn({ err: error }, 'could not make a network ahead of its use'),
  });

  async function usable(): Promise<Found & { machine: Machine }> {
    const { machine, report, ...more } = await found();
    if (machine !== undefined && report.usable) return { machine, report, ...more };
    throw new AppError('sandbox-unavailable', {
      detail: report.problem?.detail ?? 'There is no usable sandbox.',
      ...(report.problem === undefined ? {} : { hint: report.problem.hint }),
    });
  }

  return {
    name: 'bwrap',
    report: async () => (await found()).report,

    async start(plan) {
      const { machine, report, rootFiles } = await usable();
      refuseUnenforceable(plan, report);
      const border =
        egress !== undefined && report.enforces.includes('hostFilter') ? { egress, networks } : undefined;
      const parts = {
        forbidden: machine.forbidden,
        standIns: machine.standIns,
        dataFolders,
        standingOf: (held: readonly HeldMount[]) => standingOf(machine, rootFiles, held),
        log,
      };
      return startPlan(parts, plan, ({ standing, own, held: start }) =>
        withNetwork(border, plan, (network) =>
          start((held, made) => launch(machine, plan, standing, { held, own, network, tracer, made })),
        ),
      );
    },

    async makeOwned(path) {
      const { machine } = await usable();
      await makeFolder(path, machine.root ? UNPRIVILEGED : undefined);
    },

    async describeMount(mount, all = [mount]) {
      const { machine, rootFiles } = await usable();
      const rules = { forbidden: machine.forbidden, table: await ownMountTable() };
      return holdAsGranted(rules, mount, all, async (held) =>
        describeStanding(await standingOf(machine, rootFiles, held), UNPRIVILEGED),
      );
    },

    async hostFiles(plan) {
      const { machine } = await usable();
      return hostFilesOf(machine.programs, plan);
    },

    keepReady(lists) {
      void found().then(
        ({ report }) => report.enforces.includes('hostFilter') && networks.keep(lists),
        () => undefined,
      );
    },
    close: () => networks.close(),
  };
}

/** As which account the skill runs, from the folders that an admin granted; the hub's own adapt to it. */
async function standingOf(
  machine: Machine,
  rootFiles: boolean,
  held: readonly HeldMount[],
): Promise<Standing> {
  const granted = held.filter(({ isData }) => !isData);
  if (!machine.root) {
    await Promise.all(granted.map(refuseUnusable));
    return { kind: 'own' };
  }
  const standing = standingFor(
    UNPRIVILEGED,
    granted.flatMap(({ rights }) => rights ?? []),
  );
  if (standing.kind !== 'root-files' || rootFiles) return standing;
  throw new AppError('binding-refused', {
    detail: `Only root may use ${granted.map(({ source }) => source).join(', ')}, and this machine cannot hold a skill that may.`,
    hint: `Give the folder to an account of its own, or open it to the account ${nameOf(UNPRIVILEGED.uid)}.`,
  });
}
