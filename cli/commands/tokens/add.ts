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
    expires: {
      type: 'number',
      min: 0,
      max: 3650,
      value: 'DAYS',
      about: 'ends after so many days (90); 0 never',
    },
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
    const { baseUrl } = await context.registryAddress();
    const scope = record.admin ? 'anywhere' : `in ${record.namespaces.join(', ')}`;
    return {
      data: { token, ...record },
      text: token,
      notes: [
        `${record.name} may publish ${scope} until ${record.expiresAt?.slice(0, 10) ?? 'the token is removed'}.`,
        `The token is not shown again. Its owner signs in with: berth login --registry ${baseUrl}`,
      ],
      undo: `berth tokens rm ${record.id}`,
    };
  },
});
