import { command } from '../../command.ts';
import { columns } from '../../output.ts';

/** `berth profiles ls` */
export const profilesLs = command({
  name: 'profiles ls',
  aliases: ['list'],
  group: 'Use skills',
  groupSummary: 'Named selections of skills and tools for clients',
  summary: 'Profiles, and the clients that see by them',
  arguments: {},
  options: {},
  examples: ['berth profiles ls'],
  async run(context) {
    const { adminApi } = await import('../../../hub/admin-api.ts');
    const profiles = await context.hub(adminApi.profiles, {});
    const rows = profiles.map(({ name, entries, clients }) => [
      name,
      entries.map(({ skill }) => skill).join(', '),
      clients.length === 0 ? 'none' : clients.join(', '),
    ]);
    return {
      data: profiles,
      text: rows.length === 0 ? '' : columns(context, ['NAME', 'SKILLS', 'CLIENTS'], rows),
      notes: rows.length === 0 ? ['There is no profile yet.'] : [],
      next: rows.length === 0 ? ['berth profiles set NAME --skill SKILL'] : [],
    };
  },
});
