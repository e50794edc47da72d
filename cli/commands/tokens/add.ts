import { command } from '../../command.ts';

/** `berth tokens add` */
export const tokensAdd = command({
  name: 'tokens add',
  group: 'Publish',
  groupSummary: 'Tokens that may publish to the registry',
  summary: 'Make a publisher token; it is shown this once',
  arguments: { token: { about: 'a name for it, such as ci' } },
  options: {
    namespace: {
      type: 'list',
      value: 'NAMESPACE',
      about: 'may publish there, such as com.acme or com.acme.*',
    },
    admin: { type: 'flag', about: 'may administer the registry, too' },
    expires: { type: 'number', value: 'DAYS', about: 'ends after so many days (90); 0 never' },
  },
  examples: [
    'berth tokens add ci --namespace com.acme',
    'berth tokens add ana --namespace local.ana --expires 365',
  ],
  async run(context, { token: name, namespace, admin, expires }) {
    const { registryApi } = await import('../../../protocol/registry-api.ts');
    const { token, record } = await context.registry(registryApi.addToken, {
      body: {
        name,
        namespaces: namespace,
        admin,
        ...(expires === undefined ? {} : { expiresInDays: expires === 0 ? null : expires }),
      },
    });
    return {
      data: { token, ...record },
      text: token,
      notes: [
        `${record.name} may publish in ${record.namespaces.join(', ') || 'no namespace'}, until ${record.expiresAt ?? 'it is removed'}.`,
        'The token is not shown again. Its owner signs in with: berth login --registry URL',
      ],
      undo: `berth tokens rm ${record.id}`,
    };
  },
});
