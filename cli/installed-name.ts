import { adminApi, type InstalledSkillView } from '../hub/admin-api.ts';
import { AppError } from '../protocol/errors.ts';
import type { Context } from './command.ts';

/**
 * The full name of an installed skill, given by name or alias.
 * @throws AppError `not-installed`.
 */
export async function installedName(context: Context, given: string): Promise<string> {
  if (given.includes('/')) return given;
  const skills = await context.hub(adminApi.skills, {});
  const found = skills.find((skill) => skill.alias === given);
  if (found !== undefined) return found.name;
  throw new AppError('not-installed', {
    detail: `No installed skill is called ${given}.`,
    hint: 'berth list shows what is installed.',
  });
}

/** A skill as it is installed now; undefined when it isn't. */
export async function installedNow(context: Context, name: string): Promise<InstalledSkillView | undefined> {
  return (await context.hub(adminApi.skills, {})).find((skill) => skill.name === name);
}
