import { AppError } from '../../protocol/errors.ts';
import { command } from '../command.ts';
import { columns } from '../output.ts';

/** As the registry takes it. */
const MAX_QUERY = 200;

/** `berth search` */
export const search = command({
  name: 'search',
  group: 'Use skills',
  summary: 'Find skills in the registry',
  arguments: { words: { about: 'words to look for; all skills when left out', optional: true } },
  options: { limit: { type: 'number', min: 1, max: 50, value: 'N', about: 'at most so many (20)' } },
  examples: ['berth search', 'berth search "sql tables"'],
  async run(context, { words, limit }) {
    if ((words?.length ?? 0) > MAX_QUERY) {
      throw new AppError('usage-invalid', {
        detail: `A search is at most ${MAX_QUERY} characters long.`,
        hint: 'Give a few words.',
      });
    }
    const { registryApi } = await import('../../protocol/registry-api.ts');
    const { EFFECTS } = await import('../../protocol/effects.ts');
    const { hits } = await context.registry(registryApi.search, {
      query: { ...(words === undefined ? {} : { q: words }), ...(limit === undefined ? {} : { limit }) },
    });
    const rows = hits.map(({ name, version, kind, description, tools, deprecated }) => [
      name,
      version,
      EFFECTS.filter((effect) => tools.some(({ effects }) => effects.includes(effect))).join(',') ||
        'instructions',
      `${deprecated === null ? '' : '(deprecated) '}${kind === 'remote' ? '(runs elsewhere, cannot be verified) ' : ''}${description}`,
    ]);
    return {
      data: { hits },
      text:
        rows.length === 0
          ? ''
          : columns(context, ['NAME', 'VERSION', 'EFFECTS', 'WHAT IT IS'], rows, context),
      notes: rows.length === 0 ? ['Nothing found.'] : [],
      next: hits.slice(0, 1).map(({ name }) => `berth info ${name}`),
    };
  },
});
