import { command } from '../../command.ts';
import { shownFlags } from '../../shown.ts';

/** `berth clients rm` */
export const clientsRm = command({
  name: 'clients rm',
  aliases: ['remove'],
  group: 'Use skills',
  summary: 'Remove a client; its token is refused from then on',
  arguments: { client: { about: 'its name' } },
  options: {},
  examples: ['berth clients rm claude'],
  async run(context, { client }) {
    const { adminApi } = await import('../../../hub/admin-api.ts');
    const removed = await context.hub(adminApi.removeClient, { params: { client } });
    return {
      data: removed,
      notes: [`${removed.name} is removed. To undo that, it has to be given a new token.`],
      undo: `berth clients add ${removed.name}${removed.shown.mode === 'all' ? '' : ` ${shownFlags(removed.shown)}`}`,
    };
  },
});
