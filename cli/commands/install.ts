import type { Acceptance, ApprovalView, InstalledSkillView } from '../../hub/admin-api.ts';
import { AppError } from '../../protocol/errors.ts';
import { refusedAsTyped } from '../acceptance-faults.ts';
import { ACCEPTANCE_OPTIONS, acceptanceFlags, acceptanceOf } from '../acceptance.ts';
import { command, type Context, type Outcome } from '../command.ts';
import { Interrupted } from '../interrupted.ts';
import { undoOfAcceptance } from '../reinstall.ts';
import { approvalText, inPlace, installedText } from '../skill-text.ts';

/** Fetching a large package and starting it once may take a while. */
const INSTALL_TIMEOUT_MS = 5 * 60_000;

/** `berth install` */
export const install = command({
  name: 'install',
  group: 'Use skills',
  summary: 'Review what a skill asks and add it to the hub; also upgrades',
  arguments: { skill: { about: 'namespace/name, or namespace/name@range' } },
  options: {
    yes: { type: 'flag', short: 'y', about: 'grant exactly what the manifest asks, without asking' },
    ...ACCEPTANCE_OPTIONS,
  },
  examples: [
    'berth install local.me/hello --yes',
    'berth install dev.berth/files@^1.0.0 --yes --workspace ~/notes --deny-tool delete',
    'berth install com.acme/weather --yes --set units=metric --secret WEATHER_KEY=env:WEATHER_KEY',
  ],
  async run(context, { skill, yes, ...flags }) {
    if (!yes && !context.asks) {
      throw new AppError('usage-invalid', {
        detail: `Nobody can be asked here what ${skill} may do.`,
        hint: `Give --yes to grant exactly what it asks: berth install ${skill} --yes`,
      });
    }
    const { adminApi } = await import('../../hub/admin-api.ts');
    const { fullName, nameAndRange } = await import('../names.ts');
    const { installedNow } = await import('../installed-name.ts');
    const { name, range } = nameAndRange(skill);
    fullName(name);
    await refuseOtherRegistry(context);
    const said = await acceptanceOf(context, flags);
    const before = await installedNow(context, name);
    const reply = await context
      .hub(adminApi.install, {
        body: { name, ...(range ? { range } : {}), ...(yes ? { accept: said } : {}) },
        timeoutMs: INSTALL_TIMEOUT_MS,
      })
      .catch((error: unknown) => {
        throw refusedAsTyped(error, `berth install ${skill} --yes${acceptanceFlags(said)}`);
      });
    const { approval, installed } = reply;
    if (installed !== undefined) return installedOutcome(context, { before, installed, approval });
    if (approval === undefined)
      throw new AppError('internal', { detail: 'The hub neither installed nor proposed it.' });
    if (yes || !context.asks) throw stillWaiting(approval, said);
    return askAndApprove(context, { before, approval, said });
  },
});

/** The hub installs from its own registry; a person who names another one means something else. */
async function refuseOtherRegistry(context: Context): Promise<void> {
  const named = context.settings.registry;
  if (named === undefined) return;
  const { adminApi } = await import('../../hub/admin-api.ts');
  const { registry } = await context.hub(adminApi.status, {});
  if (registry.replace(/\/+$/, '') === named) return;
  throw new AppError('usage-invalid', {
    detail: `This hub installs from ${registry}, not from ${named}.`,
    hint: `Leave --registry and BERTH_REGISTRY out, or start a hub with that one: berth serve hub --registry ${named}`,
  });
}

function installedOutcome(
  context: Context,
  {
    before,
    installed,
    approval,
  }: {
    before: InstalledSkillView | undefined;
    installed: InstalledSkillView;
    approval: ApprovalView | undefined;
  },
): Outcome {
  const outcome: Outcome = {
    data: installed,
    text: installedText(context.paint, installed),
    warnings: installed.problem === undefined ? [] : [installed.problem],
    next: firstCall(installed),
  };
  if (approval === undefined) return { ...outcome, notes: ['It was installed before; nothing changed.'] };
  const undo = undoOfAcceptance(before, installed);
  return { ...outcome, ...(undo === undefined ? {} : { undo }) };
}

/** A tool that only reads is a harmless one to begin with; what it takes, its description says. */
function firstCall({ alias, tools }: InstalledSkillView): string[] {
  const harmless = tools.find(
    ({ answer, effects }) => answer === 'allow' && effects.every((effect) => effect === 'read'),
  );
  return harmless === undefined ? [] : [`berth call ${alias} ${harmless.name} '{}'`];
}

/** Left waiting, by choice or because a wider version is never taken in passing. */
function stillWaiting(approval: ApprovalView, said: Acceptance): AppError {
  const { skill, version, id, from, widened } = approval;
  const why =
    from === undefined
      ? `${skill} ${version} waits for a decision as ${id}.`
      : from === version
        ? `${skill} ${version} would get more than it has and waits as ${id}. Until then it goes on as it is.`
        : `${skill} ${version} wants more than before and waits as ${id}. ${from} goes on serving.`;
  return new AppError('approval-required', {
    detail: [why, ...widened.map((sentence) => inPlace(sentence, said.workspace))].join('\n  - '),
    // What was said already is not asked again.
    hint: `berth approve ${id}${acceptanceFlags(said)}`,
    data: { id, approval },
  });
}

async function askAndApprove(
  context: Context,
  {
    before,
    approval,
    said,
  }: { before: InstalledSkillView | undefined; approval: ApprovalView; said: Acceptance },
): Promise<Outcome> {
  const { adminApi } = await import('../../hub/admin-api.ts');
  const { askAboutProposal } = await import('../ask.ts');
  context.stderr.write(`${approvalText(context.paint, approval)}\n\n`);
  const decision = await askAboutProposal(context, approval, said);
  if (decision === 'later') throw stillWaiting(approval, said);
  if (decision === 'stopped') {
    throw new Interrupted(
      `Nothing was granted. ${approval.skill} ${approval.version} waits as ${approval.id}; berth deny ${approval.id} drops it.`,
    );
  }
  if (decision === 'no') {
    await context.hub(adminApi.deny, { params: { id: approval.id }, body: {} });
    return {
      data: { id: approval.id, state: 'denied' },
      notes: [`${approval.skill} ${approval.version} was refused.`],
      undo: `berth install ${approval.skill}@${approval.version}`,
      exit: 3,
    };
  }
  const installed = await context.hub(adminApi.approve, { params: { id: approval.id }, body: decision });
  return installedOutcome(context, { before, installed, approval });
}
