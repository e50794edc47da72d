import type { InstalledSkillView } from '../../hub/admin-api.ts';
import { command, type Context } from '../command.ts';

/** `berth remove` */
export const remove = command({
  name: 'remove',
  aliases: ['rm'],
  group: 'Use skills',
  summary: 'Remove a skill, its grants and its secrets',
  arguments: { skill: { about: 'its name or alias' } },
  options: { data: { type: 'flag', about: 'remove what it kept for its users, too' } },
  examples: ['berth remove dev.berth/files', 'berth remove memory --data'],
  async run(context, { skill, data: withData }) {
    const { adminApi } = await import('../../hub/admin-api.ts');
    const { skillParams } = await import('../names.ts');
    const { installedName } = await import('../installed-name.ts');
    const name = await installedName(context, skill);
    const { reinstallCommand } = await import('../reinstall.ts');
    const before = await context.hub(adminApi.skill, { params: skillParams(name) });
    const [withheld, secrets] = [await withheldFrom(context, before), secretsOf(before)];
    const removed = await context.hub(adminApi.removeSkill, {
      params: skillParams(name),
      query: { data: withData ? 'true' : 'false' },
    });
    return {
      data: { ...removed, dataRemoved: withData },
      notes: [
        `${removed.name} ${removed.version} is removed${withData ? ' with its data, which nothing brings back' : '; its data is kept'}.`,
        ...(secrets.length === 0 ? [] : [`Its secrets are removed, too: ${secrets.join(', ')}.`]),
      ],
      undo: reinstallCommand(before, { withheld, secrets }),
    };
  },
});

/** Ids of what the version asks and was never given, or was taken back. Unknown without its registry: then none. */
async function withheldFrom(context: Context, skill: InstalledSkillView): Promise<string[]> {
  const { registryApi } = await import('../../protocol/registry-api.ts');
  const { atoms } = await import('../../protocol/permissions.ts');
  const { skillParams } = await import('../names.ts');
  const offered = await context
    .registry(registryApi.version, { params: { ...skillParams(skill.name), version: skill.version } })
    .catch(() => undefined);
  if (offered === undefined) return [];
  return atoms(offered.permissions)
    .map(({ id }) => id)
    .filter((id) => !skill.grants.some(({ permission }) => permission === id));
}

function secretsOf({ grants }: InstalledSkillView): string[] {
  return grants
    .filter(({ permission }) => permission.startsWith('secrets:'))
    .map(({ permission }) => permission.slice('secrets:'.length));
}
