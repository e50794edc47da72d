import type { Egress, EgressSession } from '../egress/egress.ts';
import type { ReadyNetworks } from './ready-networks.ts';
import type { SandboxNetwork } from './network.ts';
import type { SandboxedProcess, SandboxPlan } from './sandbox.ts';
import type { SpawnedSandbox } from './spawn-sandbox.ts';

/** Where a driver gets networks from, and who serves them. */
export interface NetworkParts {
  egress: Egress;
  networks: ReadyNetworks;
}

/** A process that has what `SandboxedProcess` promises, its output still held. */
type NetworkedSandbox = SpawnedSandbox & SandboxedProcess;

/**
 * Starts a process with the network that its plan grants, or with none. The network is cut before the process is
 * ended, and closed with it, however it ends.
 * @throws AppError what `launch` throws, and `skill-start-failed`; nothing of the network is left then.
 */
export async function withNetwork(
  parts: NetworkParts | undefined,
  plan: SandboxPlan,
  launch: (network: SandboxNetwork | undefined) => Promise<SpawnedSandbox>,
): Promise<NetworkedSandbox> {
  if (plan.network.length === 0) return { ...(await launch(undefined)), enter: () => () => undefined };
  // The driver has refused what it cannot hold to hosts (needs.ts).
  if (parts === undefined) throw new Error(`nothing serves the network of ${plan.label}`);
  const { egress, networks } = parts;
  const { holder } = plan;
  if (holder === undefined) throw new Error(`nobody is named for the network of ${plan.label}`);
  const session = egress.open({ ...holder, rules: plan.network });
  let network: SandboxNetwork | undefined;
  const close = async (): Promise<void> => {
    session.close();
    await network?.close();
  };
  try {
    network = await networks.take(session.ports);
    session.attach(network.listeners);
    const process = await launch(network);
    // From here on the process itself keeps the namespace.
    await network.entered();
    networks.refill();
    return supervised(process, session, close);
  } catch (error) {
    await close();
    throw error;
  }
}

function supervised(
  process: SpawnedSandbox,
  session: EgressSession,
  close: () => Promise<void>,
): NetworkedSandbox {
  return {
    ...process,
    enter: () => session.enter(),
    exited: process.exited.then(async (exit) => {
      await close();
      return exit;
    }),
    async kill() {
      session.close();
      await process.kill();
    },
  };
}
