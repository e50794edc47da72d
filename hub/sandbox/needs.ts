import { AppError } from '../../protocol/errors.ts';
import type { Permissions } from '../../protocol/permissions.ts';
import type { Capability, SandboxPlan, SandboxReport } from './sandbox.ts';

/** Something that a sandbox must be able to do before a skill may run in it, and why. */
export interface Need {
  capability: Capability;
  /** The beginning of a sentence: "it was granted the host …". */
  because: string;
}

/** What a sandbox does that can do it. */
const DOES: Readonly<Record<Capability, string>> = {
  files: 'keep a skill to its own files and those that were granted',
  network: 'keep a skill from the network',
  hostFilter: 'limit a skill to named hosts',
  syscalls: 'filter system calls',
  memory: 'bound the memory of a skill as a whole',
  cpu: 'bound the processor time of a skill',
  pids: 'bound the processes of a skill',
  disk: 'bound the scratch space of a skill',
  subprocess: 'keep a skill from programs that were not granted',
};

/** What "nothing that was not granted" means: without these there is no sandbox to speak of. */
const ALWAYS = ['files', 'network', 'subprocess'] as const satisfies readonly Capability[];

/** What running under these permissions takes, with what the admin of the hub demands of every sandbox. */
export function needsOf(
  { network }: { network: readonly Pick<Permissions['network'][number], 'host' | 'port'>[] },
  demanded: readonly Capability[],
): readonly Need[] {
  const [first] = network;
  return [
    ...(first === undefined
      ? []
      : [
          {
            capability: 'hostFilter',
            because: first.host.startsWith('${')
              ? 'it was granted hosts that its settings name'
              : `it was granted the host ${first.host}:${first.port}`,
          } as const,
        ]),
    ...demanded.map((capability) => ({ capability, because: 'this hub requires it of every skill' })),
    ...ALWAYS.map((capability) => ({ capability, because: 'no skill runs without that' })),
  ];
}

/** The first need that the sandbox does not meet, and a clause that says so; undefined when it meets all. */
export function gapIn(
  needs: readonly Need[],
  enforces: readonly Capability[],
): { capability: Capability; clause: string } | undefined {
  const unmet = needs.find(({ capability }) => !enforces.includes(capability));
  if (unmet === undefined) return undefined;
  const { capability, because } = unmet;
  return { capability, clause: `${because}, and this sandbox cannot ${DOES[capability]} (${capability})` };
}

/** The loader obeys these, and a launcher inside may start before it has given up its rights. */
const LOADER_VARIABLE = /^(?:LD_|GLIBC_|GCONV_PATH$|LOCPATH$|NLSPATH$)/;

/**
 * What every driver asks before it starts a plan.
 * @throws AppError `sandbox-cannot-enforce` naming the capability that is missing, `binding-refused` for a
 *   variable that changes how programs are loaded.
 */
export function refuseUnenforceable(
  plan: Pick<SandboxPlan, 'label' | 'network' | 'env'>,
  { enforces, requires }: Pick<SandboxReport, 'enforces' | 'requires'>,
): void {
  const gap = gapIn(needsOf(plan, requires), enforces);
  if (gap !== undefined) {
    throw new AppError('sandbox-cannot-enforce', {
      detail: `${plan.label} cannot run here: ${gap.clause}.`,
      hint: requires.includes(gap.capability)
        ? `Run the hub where the sandbox can (berth doctor), or take ${gap.capability} out of its setting \`requires\`.`
        : gap.capability === 'hostFilter'
          ? 'Revoke its network permission to run it without a network.'
          : 'Choose another sandbox with the setting `sandbox`.',
      data: { capability: gap.capability },
    });
  }
  const loader = Object.keys(plan.env).find((name) => LOADER_VARIABLE.test(name));
  if (loader !== undefined) {
    throw new AppError('binding-refused', {
      detail: `${plan.label} may not be given the variable ${loader}: it changes how programs are loaded.`,
      hint: 'Revoke that permission.',
    });
  }
}
