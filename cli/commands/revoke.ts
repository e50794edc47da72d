import { command } from '../command.ts';

/** `berth revoke` */
export const revoke = command({
  name: 'revoke',
  group: 'Decide',
  summary: 'Take a permission back, from the next call on',
  arguments: { grant: { about: 'its id, from: berth grants' } },
  options: {},
  examples: ['berth revoke grant_0123456789abcdef'],
  async run(context, { grant }) {
    const { adminApi } = await import('../../hub/admin-api.ts');
    const { skillParams } = await import('../names.ts');
    const taken = await context.hub(adminApi.revoke, { params: { id: grant } });
    const { version } = await context.hub(adminApi.skill, { params: skillParams(taken.skill) });
    return {
      data: taken,
      notes: [`${taken.skill} no longer may: ${taken.sentence}`],
      undo: `berth install ${taken.skill}@${version} --yes`,
    };
  },
});
