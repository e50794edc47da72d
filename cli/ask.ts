import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Acceptance, ApprovalView } from '../hub/admin-api.ts';
import type { Context } from './command.ts';

/** What a person decides about a proposal: how to accept it, to refuse it, to leave it waiting; or nothing (Esc, Ctrl-C). */
export type Decision = Acceptance | 'no' | 'later' | 'stopped';

type Answer = 'allow' | 'ask' | 'deny';

/**
 * Asks for what a proposal needs and for each tool's answer, and whether to grant. What the command line said
 * already is not asked again. Only for a terminal; ending the prompt leaves the proposal waiting.
 */
export async function askAboutProposal(
  context: Context,
  approval: ApprovalView,
  said: Acceptance,
): Promise<Decision> {
  const clack = await import('@clack/prompts');
  const streams = { input: context.stdin, output: context.stderr, signal: context.signal };
  const needed: Acceptance = { ...said };

  for (const need of approval.needs) {
    const message = need.title ?? need.name;
    if (need.kind === 'secret') {
      if (said.secrets?.[need.name] !== undefined) continue;
      const value = await clack.password({ message: `${message} (${need.name})`, ...streams });
      if (clack.isCancel(value)) return 'stopped';
      needed.secrets = { ...needed.secrets, [need.name]: value };
      continue;
    }
    if (isSaid(need, said)) continue;
    const value = await clack.text({
      message,
      ...(need.kind === 'host' ? { placeholder: 'example.com[:port][=address], …' } : {}),
      ...(need.kind === 'workspace'
        ? {
            placeholder: context.workingDirectory,
            validate: (text: string | undefined) =>
              isFolder(resolve(context.workingDirectory, text || '.'))
                ? undefined
                : 'There is no such folder.',
          }
        : {}),
      ...streams,
    });
    if (clack.isCancel(value)) return 'stopped';
    if (need.kind === 'workspace') needed.workspace = resolve(context.workingDirectory, value || '.');
    else needed.config = { ...needed.config, [need.name]: value };
  }

  for (;;) {
    const choice = await clack.select({
      message: `Grant this to ${approval.skill} ${approval.version}?`,
      options: [
        { value: 'yes', label: 'Yes, with the answers shown' },
        ...(approval.tools.length === 0
          ? []
          : [{ value: 'tools', label: 'Yes, but let me choose for each tool' }]),
        ...(approval.permissions.length === 0
          ? []
          : [{ value: 'narrow', label: 'Yes, but without some permissions' }]),
        { value: 'no', label: 'No' },
        { value: 'later', label: 'Decide later' },
      ],
      ...streams,
    });
    if (clack.isCancel(choice)) return 'stopped';
    if (choice === 'later') return 'later';
    if (choice === 'no') return 'no';
    if (choice === 'yes') return needed;
    if (choice === 'tools') {
      const answers: Record<string, Answer> = { ...needed.tools };
      for (const tool of approval.tools) {
        const answer = await clack.select<Answer>({
          message: `${tool.name} (${tool.effects.join(', ')})`,
          initialValue: answers[tool.name] ?? tool.answer,
          options: [
            { value: 'allow', label: 'auto', hint: 'runs without asking' },
            { value: 'ask', label: 'ask', hint: 'waits for a person each time' },
            { value: 'deny', label: 'off', hint: 'never runs' },
          ],
          ...streams,
        });
        if (clack.isCancel(answer)) return 'stopped';
        answers[tool.name] = answer;
      }
      needed.tools = answers;
    } else {
      const refused = await clack.multiselect({
        message: 'Which does it not get?',
        required: false,
        options: approval.permissions.map(({ id, sentence, reason }) => ({
          value: id,
          label: sentence,
          ...(reason === undefined ? {} : { hint: reason }),
        })),
        ...streams,
      });
      if (clack.isCancel(refused)) return 'stopped';
      needed.without = refused;
    }
  }
}

/** Hosts of several keys are one list; whoever gave some has thought of all. */
function isSaid({ kind, name }: ApprovalView['needs'][number], said: Acceptance): boolean {
  if (kind === 'workspace') return said.workspace !== undefined;
  return said.config?.[name] !== undefined || (kind === 'host' && said.hosts !== undefined);
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}
