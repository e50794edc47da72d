import { AppError } from '../../../protocol/errors.ts';
import { command } from '../../command.ts';
import { keyPath } from '../../home.ts';

/** `berth keys create` */
export const keysCreate = command({
  name: 'keys create',
  group: 'Publish',
  groupSummary: 'The keys you sign with',
  summary: 'Make a key to sign packages with',
  arguments: { key: { about: 'a name for it; default when left out', optional: true } },
  options: { algorithm: { type: 'text', value: 'ed25519|p256', about: 'kind of key (ed25519)' } },
  examples: ['berth keys create', 'berth keys create release --algorithm p256'],
  async run(context, { key = 'default', algorithm = 'ed25519' }) {
    const { createKey, writeKey } = await import('../../../protocol/node/keys.ts');
    const { keyName } = await import('../../author-keys.ts');
    const { shellWord } = await import('../../shell-word.ts');
    if (algorithm !== 'ed25519' && algorithm !== 'p256') {
      throw new AppError('usage-invalid', {
        detail: `There is no algorithm ${algorithm}.`,
        hint: 'Give --algorithm ed25519 or --algorithm p256.',
      });
    }
    const name = keyName(key);
    const path = keyPath(context.home, name);
    const made = createKey(algorithm);
    await writeKey(path, made);
    return {
      data: { name, path, ...made.record },
      text: `${name}\t${made.record.algorithm}\t${made.record.keyId}`,
      notes: [`The private key is ${path}, readable by this account alone. Keep a copy in a safe place.`],
      undo: `rm ${shellWord(path)}`,
    };
  },
});
