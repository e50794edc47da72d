import { AppError } from '../../../protocol/errors.ts';
import { command } from '../../command.ts';
import { shownBy, shownFlags, shownInWords } from '../../shown.ts';

/** `berth clients set` */
export const clientsSet = command({
  name: 'clients set',
  group: 'Use skills',
  summary: 'Choose what a client is shown: everything, a profile, or a search',
  arguments: { client: { about: 'its name' } },
  options: {
    mode: { type: 'text', value: 'MODE', about: 'all, profile, or search: three tools that find the others' },
    profile: { type: 'text', value: 'NAME', about: 'only what is in this profile' },
  },
  examples: [
    'berth clients set claude --mode search',
    'berth clients set claude --profile coding',
    'berth clients set claude --mode all',
  ],
  async run(context, { client: name, mode, profile }) {
    const { adminApi } = await import('../../../hub/admin-api.ts');
    const shown = shownBy(mode, profile);
    if (shown === undefined) {
      throw new AppError('usage-invalid', {
        detail: `What is ${name} to be shown?`,
        hint: 'Give --mode all, --mode search, or --profile NAME.',
      });
    }
    const changed = await context.hub(adminApi.showClient, { params: { client: name }, body: shown });
    return {
      data: changed,
      notes: [`${name} is shown ${shownInWords(changed.client.shown)} from now on.`],
      undo: `berth clients set ${name} ${shownFlags(changed.before)}`,
    };
  },
});
