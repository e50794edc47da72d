import type { InstalledSkillView } from '../hub/admin-api.ts';
import type { Effect } from '../protocol/manifest.ts';
import { suggestAnswer } from '../protocol/surface.ts';
import { shellWord } from './shell-word.ts';

/**
 * The command that installs a skill again as it is now: version, folder, settings, answers for tools. Secrets are
 * kept by no one after a removal and have to be given again.
 */
export function reinstallCommand(skill: InstalledSkillView): string {
  const answers = skill.tools
    .filter(({ effects, answer }) => answer !== suggestAnswer(effects as Effect[]))
    .map(({ name, answer }) => `--${answer}-tool ${name}`);
  const settings = Object.entries(skill.config).map(
    ([key, value]) => `--set ${shellWord(`${key}=${String(value)}`)}`,
  );
  return [
    `berth install ${skill.name}@${skill.version} --yes`,
    ...(skill.workspace === undefined ? [] : [`--workspace ${shellWord(skill.workspace)}`]),
    ...settings,
    ...answers,
  ].join(' ');
}
