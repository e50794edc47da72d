import { command } from '../../command.ts';
import { ago, columns } from '../../output.ts';
import { shownInWords } from '../../shown.ts';

/** `berth clients ls` */
export const clientsLs = command({
  name: 'clients ls',
  aliases: ['list'],
  group: 'Use skills',
  summary: 'Clients that may use this hub',
  arguments: {},
  options: {},
  examples: ['berth clients ls'],
  async run(context) {
    const { adminApi } = await import('../../../hub/admin-api.ts');
    const clients = await context.hub(adminApi.clients, {});
    const now = Date.now();
    const rows = clients.map(({ name, user, shown, lastSeenAt, expiresAt }) => [
      name,
      user,
      shownInWords(shown),
      lastSeenAt === undefined ? 'never' : ago(lastSeenAt, now),
      expiresAt?.slice(0, 10) ?? 'never',
    ]);
    return {
      data: clients,
      text: rows.length === 0 ? '' : columns(context, ['NAME', 'USER', 'SHOWN', 'SEEN', 'EXPIRES'], rows),
      notes: rows.length === 0 ? ['No client may use this hub yet.'] : [],
      next: rows.length === 0 ? ['berth clients add NAME'] : [],
    };
  },
});
