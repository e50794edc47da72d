import { command } from '../command.ts';

/** `berth deny` */
export const deny = command({
  name: 'deny',
  group: 'Decide',
  summary: 'Refuse what waits; what served before goes on serving',
  arguments: { id: { about: 'its id, from: berth inbox' } },
  options: { reason: { type: 'text', value: 'TEXT', about: 'why, for the record' } },
  examples: ['berth deny upgrade_k3f9 --reason "needs no network"'],
  async run(context, { id, reason }) {
    const { adminApi } = await import('../../hub/admin-api.ts');
    const denied = await context.hub(adminApi.deny, {
      params: { id },
      body: reason === undefined ? {} : { reason },
    });
    return {
      data: denied,
      notes: [
        denied.from === undefined
          ? `${denied.skill} ${denied.version} was refused.`
          : denied.from === denied.version
            ? `${denied.skill} ${denied.version} gets nothing new and goes on as it is.`
            : `${denied.skill} ${denied.version} was refused; ${denied.from} goes on serving.`,
      ],
      undo: `berth install ${denied.skill}@${denied.version}`,
    };
  },
});
