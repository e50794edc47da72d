import { AppError } from '../../../protocol/errors.ts';
import { command } from '../../command.ts';

/** `berth keys register` */
export const keysRegister = command({
  name: 'keys register',
  group: 'Publish',
  summary: 'Let a key sign for a namespace of the registry',
  arguments: { namespace: { about: 'such as com.acme, or com.acme.* for all below it' } },
  options: {
    key: { type: 'text', value: 'NAME', about: 'a key of this home (default)' },
    publicKey: {
      type: 'text',
      value: 'BASE64',
      about: "somebody else's public key, as berth keys ls --json shows it",
    },
  },
  examples: [
    'berth keys register com.acme',
    'berth keys register com.acme --public-key MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=',
  ],
  async run(context, { namespace, key, publicKey }) {
    if (key !== undefined && publicKey !== undefined) {
      throw new AppError('usage-invalid', {
        detail: '--key and --public-key name two keys.',
        hint: 'Give one of them.',
      });
    }
    const { registryApi } = await import('../../../protocol/registry-api.ts');
    const { publicKeyOf } = await import('../../../protocol/node/keys.ts');
    const { authorKey } = await import('../../author-keys.ts');
    const record =
      publicKey === undefined ? (await authorKey(context.home, key)).record : publicKeyOf(publicKey);
    const { shortKey } = await import('../../output.ts');
    const params = { namespace };
    const before = await context.registry(registryApi.keys, { params });
    const data = await context.registry(registryApi.addKey, {
      params,
      body: { publicKey: record.publicKey },
    });
    if (before.keys.some(({ keyId, retiredAt }) => keyId === record.keyId && retiredAt === undefined))
      return { data, notes: [`The ${shortKey(record.keyId)} may sign for ${namespace} already.`] };
    return {
      data,
      notes: [`The ${shortKey(record.keyId)} may sign for ${namespace}.`],
      undo: `berth keys retire ${namespace} ${record.keyId}`,
    };
  },
});
