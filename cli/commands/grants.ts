import { command } from '../command.ts';
import { columns } from '../output.ts';

/** `berth grants` */
export const grants = command({
  name: 'grants',
  group: 'Decide',
  summary: 'What skills may do now',
  arguments: { skill: { about: 'only this skill', optional: true } },
  options: {},
  examples: ['berth grants', 'berth grants dev.berth/files'],
  async run(context, { skill }) {
    const { adminApi } = await import('../../hub/admin-api.ts');
    const found = await context.hub(adminApi.grants, { query: skill === undefined ? {} : { skill } });
    const rows = found.map(({ id, skill: name, sentence }) => [id, name, sentence]);
    return {
      data: found,
      text: rows.length === 0 ? '' : columns(context, ['ID', 'SKILL', 'IT CAN'], rows),
      notes: rows.length === 0 ? ['No skill has been granted anything.'] : [],
    };
  },
});
