import type { Acceptance, ApprovalView, InstalledSkillView } from '../../hub/admin-api.ts';
import { AppError } from '../../protocol/errors.ts';
import { ACCEPTANCE_OPTIONS, acceptanceOf } from '../acceptance.ts';
import { command, type Context, type Outcome } from '../command.ts';
import { approvalText, installedText } from '../skill-text.ts';

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
    const { nameAndRange } = await import('../names.ts');
    const { name, range } = nameAndRange(skill);
    const said = await acceptanceOf(context, flags);
    const reply = await context.hub(adminApi.install, {
      body: { name, ...(range === undefined ? {} : { range }), ...(yes ? { accept: said } : {}) },
      timeoutMs: INSTALL_TIMEOUT_MS,
    });
    const { approval, installed } = reply;
    if (installed !== undefined) return installedOutcome(context, installed, approval);
    if (approval === undefined)
      throw new AppError('internal', { detail: 'The hub neither installed nor proposed it.' });
    if (yes || !context.asks) throw stillWaiting(approval);
    return askAndApprove(context, approval, said);
  },
});

function installedOutcome(
  context: Context,
  installed: InstalledSkillView,
  approval: ApprovalView | undefined,
): Outcome {
  const outcome: Outcome = {
    data: installed,
    text: installedText(context.paint, installed),
    warnings: installed.problem === undefined ? [] : [installed.problem],
    next: installed.tools
      .filter((tool) => tool.answer === 'allow')
      .slice(0, 1)
      .map((tool) => `berth call ${installed.alias} ${tool.name} '{}'`),
  };
  if (approval === undefined) return { ...outcome, notes: ['It was installed before; nothing changed.'] };
  const { from } = approval;
  const isOther = from !== undefined && from !== installed.version;
  return {
    ...outcome,
    undo: isOther ? `berth install ${installed.name}@${from} --yes` : `berth remove ${installed.name}`,
  };
}

/** Left waiting, by choice or because a wider version is never taken in passing. */
function stillWaiting(approval: ApprovalView): AppError {
  const { skill, version, id, from, widened } = approval;
  const why =
    from === undefined
      ? `${skill} ${version} waits for a decision as ${id}.`
      : `${skill} ${version} wants more than before and waits as ${id}. ${from} goes on serving.`;
  return new AppError('approval-required', {
    detail: [why, ...widened].join('\n  - '),
    hint: `berth approve ${id}`,
    data: { id, approval },
  });
}

async function askAndApprove(context: Context, approval: ApprovalView, said: Acceptance): Promise<Outcome> {
  const { adminApi } = await import('../../hub/admin-api.ts');
  const { askAboutProposal } = await import('../ask.ts');
  context.stderr.write(`${approvalText(context.paint, approval)}\n\n`);
  const decision = await askAboutProposal(context, approval, said);
  if (decision === 'later') throw stillWaiting(approval);
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
  return installedOutcome(context, installed, approval);
}
