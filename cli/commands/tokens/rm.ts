import { command } from '../../command.ts';

/** `berth tokens rm` */
export const tokensRm = command({
  name: 'tokens rm',
  aliases: ['remove'],
  group: 'Publish',
  summary: 'Remove a publisher token; it is refused from then on',
  arguments: { id: { about: 'its id, from: berth tokens ls' } },
  options: {},
  examples: ['berth tokens rm tok_0123456789'],
  async run(context, { id }) {
    const { registryApi } = await import('../../../protocol/registry-api.ts');
    const { shellWord } = await import('../../shell-word.ts');
    const { removed } = await context.registry(registryApi.removeToken, { params: { id } });
    const scope = removed.namespaces.map((namespace) => ` --namespace ${namespace}`).join('');
    return {
      data: removed,
      notes: [`The token ${removed.name} is removed. To undo that, its owner has to sign in with a new one.`],
      undo: `berth tokens add ${shellWord(removed.name)}${scope}${removed.admin ? ' --admin' : ''}`,
    };
  },
});
