import { command } from '../command.ts';
import { columns } from '../output.ts';
import { inPlace } from '../skill-text.ts';

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
    const skills = found.length === 0 ? [] : await context.hub(adminApi.skills, {});
    const rows = found.map(({ id, skill: name, sentence }) => [
      id,
      name,
      inPlace(sentence, skills.find((installed) => installed.name === name)?.workspace),
    ]);
    return {
      data: found,
      text: rows.length === 0 ? '' : columns(context, ['ID', 'SKILL', 'IT CAN'], rows),
      notes: rows.length === 0 ? ['No skill has been granted anything.'] : [],
      next: found.slice(0, 1).map(({ id }) => `berth revoke ${id}`),
    };
  },
});
