import { command } from '../../command.ts';

/** `berth profiles show` */
export const profilesShow = command({
  name: 'profiles show',
  group: 'Use skills',
  summary: 'The skills and tools of a profile',
  arguments: { profile: { about: 'its name' } },
  options: {},
  examples: ['berth profiles show coding'],
  async run(context, { profile: name }) {
    const { adminApi } = await import('../../../hub/admin-api.ts');
    const profile = await context.hub(adminApi.profile, { params: { profile: name } });
    const lines = profile.entries.map(({ skill, tools }) => `${skill}: ${tools?.join(', ') ?? 'all tools'}`);
    return {
      data: profile,
      text: lines.join('\n'),
      notes: [
        profile.clients.length === 0
          ? 'No client sees by it.'
          : `Clients that see by it: ${profile.clients.join(', ')}.`,
      ],
    };
  },
});
