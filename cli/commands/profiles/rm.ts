import { command } from '../../command.ts';
import { profileCommand } from '../../shown.ts';

/** `berth profiles rm` */
export const profilesRm = command({
  name: 'profiles rm',
  aliases: ['remove'],
  group: 'Use skills',
  summary: 'Remove a profile that no client sees by',
  arguments: { profile: { about: 'its name' } },
  options: {},
  examples: ['berth profiles rm coding'],
  async run(context, { profile: name }) {
    const { adminApi } = await import('../../../hub/admin-api.ts');
    const removed = await context.hub(adminApi.removeProfile, { params: { profile: name } });
    return {
      data: removed,
      notes: [`The profile ${removed.name} is removed.`],
      undo: profileCommand(removed),
    };
  },
});
