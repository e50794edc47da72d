import { command } from '../command.ts';

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
    const removed = await context.hub(adminApi.removeSkill, {
      params: skillParams(name),
      query: { data: withData ? 'true' : 'false' },
    });
    return {
      data: { ...removed, dataRemoved: withData },
      notes: [
        `${removed.name} ${removed.version} is removed${withData ? ' with its data' : '; its data is kept'}.`,
      ],
      undo: `${reinstallCommand(before)}${withData ? ' (its data cannot be brought back)' : ''}`,
    };
  },
});
