import { AppError } from '../../../protocol/errors.ts';
import { command } from '../../command.ts';

/** `berth keys retire` */
export const keysRetire = command({
  name: 'keys retire',
  group: 'Publish',
  summary: 'Accept nothing new from a key; what it signed stays good',
  arguments: {
    namespace: { about: 'for which it signed' },
    key: { about: 'its key id, or the first 6 characters of it or more' },
  },
  options: {},
  examples: ['berth keys retire com.acme t1+tJTspi9rfeV6TWLmdEtaVnLoEz+hT5W5usg8+zMA='],
  async run(context, { namespace, key }) {
    const { registryApi } = await import('../../../protocol/registry-api.ts');
    const { shortKey } = await import('../../output.ts');
    const params = { namespace };
    const { keys } = await context.registry(registryApi.keys, { params });
    const { keyId } = keyMeant(
      keys.filter(({ retiredAt }) => retiredAt === undefined),
      key,
      namespace,
    );
    const data = await context.registry(registryApi.retireKey, { params, body: { keyId } });
    return {
      data,
      notes: [`The ${shortKey(keyId)} signs nothing new for ${namespace}.`],
      undo: `a retired key stays retired; register another: berth keys register ${namespace} --key NAME`,
    };
  },
});

/** The one key whose id begins so; people see the beginning of an id only. */
function keyMeant<Key extends { keyId: string }>(
  keys: readonly Key[],
  start: string,
  namespace: string,
): Key {
  const found = keys.filter(({ keyId }) => keyId === start || (start.length >= 6 && keyId.startsWith(start)));
  const [only] = found;
  if (only !== undefined && found.length === 1) return only;
  throw new AppError('key-not-found', {
    detail: `${found.length === 0 ? 'No key' : 'More than one key'} of ${namespace} has an id that begins with ${start.slice(0, 64)}.`,
    hint: `Its keys: ${keys.map(({ keyId }) => keyId).join(', ') || 'none'}`,
  });
}
