import { AppError } from '../../../protocol/errors.ts';
import { command } from '../../command.ts';
import { profileCommand } from '../../shown.ts';

/** `berth profiles set` */
export const profilesSet = command({
  name: 'profiles set',
  group: 'Use skills',
  summary: 'Make a profile, or replace all of it',
  arguments: { profile: { about: 'a name for it, such as coding' } },
  options: {
    skill: { type: 'list', value: 'SKILL', about: 'a skill with all of its tools' },
    tool: { type: 'list', value: 'SKILL:TOOL', about: 'one tool of a skill' },
  },
  examples: [
    'berth profiles set coding --skill files --skill review',
    'berth profiles set reading --tool files:read --tool files:list',
  ],
  async run(context, { profile: name, skill, tool }) {
    const { adminApi } = await import('../../../hub/admin-api.ts');
    const entries = [...skill.map((one) => ({ skill: one })), ...tool.map(toolEntry)];
    if (entries.length === 0) {
      throw new AppError('usage-invalid', {
        detail: `What is in the profile ${name}?`,
        hint: 'Give --skill SKILL or --tool SKILL:TOOL, as often as needed.',
      });
    }
    const { profile, before, missing } = await context.hub(adminApi.setProfile, {
      params: { profile: name },
      body: { entries },
    });
    const seers = profile.clients.length === 0 ? 'no client yet' : profile.clients.join(', ');
    return {
      data: { profile, ...(before === undefined ? {} : { before }) },
      notes: [`The profile ${name} is what is shown to ${seers}.`],
      warnings: missing,
      undo: before === undefined ? `berth profiles rm ${name}` : profileCommand(before),
      next: profile.clients.length === 0 ? [`berth clients set CLIENT --profile ${name}`] : [],
    };
  },
});

function toolEntry(given: string): { skill: string; tools: string[] } {
  const [skill = '', ...tool] = given.split(':');
  if (skill !== '' && tool.join(':') !== '') return { skill, tools: [tool.join(':')] };
  throw new AppError('usage-invalid', {
    detail: `${given} does not name a tool of a skill.`,
    hint: 'Write it like --tool files:read.',
  });
}
