import type { ClientView, ProfileView } from '../hub/admin-api.ts';
import { AppError } from '../protocol/errors.ts';
import { shellWord } from './shell-word.ts';

/** What `--mode` and `--profile` say together; `--profile` alone means the mode of that name. */
export function shownBy(
  mode: string | undefined,
  profile: string | undefined,
): ClientView['shown'] | undefined {
  const chosen = mode ?? (profile === undefined ? undefined : 'profile');
  if (chosen === undefined) return undefined;
  const known = (['all', 'profile', 'search'] as const).find((one) => one === chosen);
  const fits = known === 'all' ? profile === undefined : known !== 'profile' || profile !== undefined;
  if (known === undefined || !fits) {
    throw new AppError('usage-invalid', {
      detail:
        known === undefined
          ? `There is no mode ${chosen}.`
          : known === 'all'
            ? 'The mode all shows everything and takes no profile.'
            : 'The mode profile needs a profile.',
      hint: 'Give --mode all, --mode search, or --profile NAME.',
    });
  }
  return profile === undefined ? { mode: known } : { mode: known, profile };
}

/** The options that say the same again. */
export function shownFlags({ mode, profile }: ClientView['shown']): string {
  return `--mode ${mode}${profile === undefined ? '' : ` --profile ${profile}`}`;
}

/** What a client is shown, in a few words. */
export function shownInWords({ mode, profile }: ClientView['shown']): string {
  const what = profile === undefined ? 'everything' : `profile ${profile}`;
  return mode === 'search' ? `search in ${what}` : what;
}

/** The command that makes a profile what it is here. */
export function profileCommand({ name, entries }: Pick<ProfileView, 'name' | 'entries'>): string {
  const words = entries.flatMap(({ skill, tools }) =>
    tools === undefined
      ? [`--skill ${shellWord(skill)}`]
      : tools.map((tool) => `--tool ${shellWord(`${skill}:${tool}`)}`),
  );
  return `berth profiles set ${name} ${words.join(' ')}`;
}
