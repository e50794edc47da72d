import type { InstalledSkillView } from '../hub/admin-api.ts';
import type { Effect } from '../protocol/manifest.ts';
import { suggestAnswer } from '../protocol/surface.ts';
import { shellWord } from './shell-word.ts';

/**
 * The command that installs a skill again as it is now: version, folder, settings, answers for tools, and without the
 * permissions that were withheld. Secrets are kept by no one after a removal and are taken from the environment then.
 */
export function reinstallCommand(
  skill: InstalledSkillView,
  { withheld = [], secrets = [] }: { withheld?: readonly string[]; secrets?: readonly string[] } = {},
): string {
  const answers = skill.tools
    .filter(
      ({ effects, answer }) =>
        answer !== suggestAnswer(effects as Effect[], skill.kind === 'remote' || skill.unsandboxed),
    )
    .map(({ name, answer }) => `--${answer}-tool ${shellWord(name)}`);
  return [
    `berth install ${skill.name}@${skill.version} --yes`,
    ...bindingFlags(skill),
    ...answers,
    ...withheld.map((id) => `--without ${shellWord(id)}`),
    ...secrets.map((name) => `--secret ${name}=env:${name}`),
  ].join(' ');
}

/**
 * The command that takes an acceptance back: it removes what was not installed, brings the other version back, or,
 * for the same version, the answers and grants that it had. Undefined when nothing changed.
 */
export function undoOfAcceptance(
  before: InstalledSkillView | undefined,
  after: InstalledSkillView,
): string | undefined {
  if (before === undefined) return `berth remove ${after.name}`;
  if (before.digest !== after.digest) return reinstallCommand(before);
  const answers = before.tools
    .filter(({ name, answer }) => after.tools.some((tool) => tool.name === name && tool.answer !== answer))
    .map(({ name, answer }) => `--${answer}-tool ${shellWord(name)}`);
  const bindings = bindingFlags(before).filter((flag) => !bindingFlags(after).includes(flag));
  const again = [...bindings, ...answers];
  const granted = after.grants.filter(
    ({ permission }) => !before.grants.some((grant) => grant.permission === permission),
  );
  // Another folder lies at a path that was granted, and was granted anew: the one before cannot come back.
  const regranted = Object.entries(after.folders).some(
    ([path, folder]) => before.folders[path] !== undefined && before.folders[path] !== folder,
  );
  const folders = regranted
    ? after.grants.filter(({ permission }) => /^filesystem:\$\{(?!data\})/.test(permission))
    : [];
  const commands = [
    ...(again.length === 0
      ? []
      : [`berth install ${before.name}@${before.version} --yes ${again.join(' ')}`]),
    ...[...new Set([...granted, ...folders])].map(({ id }) => `berth revoke ${id}`),
  ];
  return commands.length === 0 ? undefined : commands.join(' && ');
}

function bindingFlags({ workspace, config, unsandboxed }: InstalledSkillView): string[] {
  return [
    ...(workspace === undefined ? [] : [`--workspace ${shellWord(workspace)}`]),
    ...Object.entries(config).map(([key, value]) => `--set ${shellWord(`${key}=${String(value)}`)}`),
    ...(unsandboxed ? ['--unsandboxed'] : []),
  ];
}
