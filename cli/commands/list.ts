import { command } from '../command.ts';
import { columns, count } from '../output.ts';
import { stateWord } from '../skill-text.ts';

/** `berth list` */
export const list = command({
  name: 'list',
  aliases: ['ls'],
  group: 'Use skills',
  summary: 'Installed skills',
  arguments: {},
  options: {},
  examples: ['berth list', 'berth list --json'],
  async run(context) {
    const { adminApi } = await import('../../hub/admin-api.ts');
    const skills = await context.hub(adminApi.skills, {});
    const rows = skills.map(({ name, version, alias, kind, tools, problem, state, unsandboxed }) => [
      name,
      version,
      alias,
      count(tools.length, 'tool'),
      // Last, so that its colour cannot shift a column.
      `${stateWord(context.paint, state)}${problem === undefined ? '' : `: ${problem}`}${kind === 'remote' ? ', runs elsewhere, cannot be verified' : ''}${unsandboxed ? `, ${context.paint.bad('WITHOUT A SANDBOX')}` : ''}`,
    ]);
    return {
      data: skills,
      text: rows.length === 0 ? '' : columns(context, ['NAME', 'VERSION', 'ALIAS', 'TOOLS', 'STATE'], rows),
      notes: rows.length === 0 ? ['Nothing is installed yet.'] : [],
      next: rows.length === 0 ? ['berth search'] : [],
    };
  },
});
