import { command } from '../command.ts';
import { inPlace } from '../skill-text.ts';

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
    const { installedNow } = await import('../installed-name.ts');
    const { reinstallCommand } = await import('../reinstall.ts');
    const standing = (await context.hub(adminApi.grants, { query: {} })).find(({ id }) => id === grant);
    const before = standing === undefined ? undefined : await installedNow(context, standing.skill);
    const taken = await context.hub(adminApi.revoke, { params: { id: grant } });
    return {
      data: taken,
      notes: [
        taken.permission === 'resources'
          ? `${taken.skill} has to do with the limits that every skill has.`
          : `${taken.skill} may no longer ${inPlace(taken.sentence, before?.workspace).replace(/^It can /, '')}.`,
        'To undo that, it asks for the permission again, and you approve it.',
      ],
      ...(before === undefined ? {} : { undo: reinstallCommand(before) }),
    };
  },
});
