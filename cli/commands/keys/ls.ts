import { command } from '../../command.ts';
import { columns } from '../../output.ts';

/** `berth keys ls` */
export const keysLs = command({
  name: 'keys ls',
  aliases: ['list'],
  group: 'Publish',
  summary: 'Keys in this home',
  arguments: {},
  options: {},
  examples: ['berth keys ls'],
  async run(context) {
    const { authorKeys } = await import('../../author-keys.ts');
    const keys = await authorKeys(context.home);
    const rows = keys.map(({ name, record }) => [name, record.algorithm, record.keyId]);
    return {
      data: keys.map(({ name, path, record }) => ({ name, path, ...record })),
      text: rows.length === 0 ? '' : columns(context, ['NAME', 'KIND', 'KEY ID'], rows),
      notes: rows.length === 0 ? ['There is no key in this home yet.'] : [],
      next: rows.length === 0 ? ['berth keys create'] : [],
    };
  },
});
