import { command } from '../../command.ts';
import { ago, columns } from '../../output.ts';

/** `berth tokens ls` */
export const tokensLs = command({
  name: 'tokens ls',
  aliases: ['list'],
  group: 'Publish',
  summary: 'Publisher tokens of the registry',
  arguments: {},
  options: {},
  examples: ['berth tokens ls'],
  async run(context) {
    const { registryApi } = await import('../../../protocol/registry-api.ts');
    const { tokens } = await context.registry(registryApi.tokens, {});
    const now = Date.now();
    const rows = tokens.map(({ id, name, admin, namespaces, expiresAt, lastUsedAt }) => [
      id,
      name,
      admin ? 'admin' : namespaces.join(','),
      expiresAt?.slice(0, 10) ?? 'never',
      lastUsedAt === null ? 'never' : ago(lastUsedAt, now),
    ]);
    return {
      data: { tokens },
      text:
        rows.length === 0 ? '' : columns(context, ['ID', 'NAME', 'MAY PUBLISH IN', 'EXPIRES', 'USED'], rows),
      notes: rows.length === 0 ? ['There is no token but the admin token of this home.'] : [],
    };
  },
});
