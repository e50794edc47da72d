import { AppError } from '../../protocol/errors.ts';

/** The path of the door to one skill, or to all without a name. @throws AppError `usage-invalid`. */
export function skillPath(skill: string | undefined): string {
  if (skill === undefined) return '/mcp';
  const [namespace, name, ...more] = skill.split('/');
  if (namespace && name && more.length === 0) {
    return `/s/${encodeURIComponent(namespace)}/${encodeURIComponent(name)}/mcp`;
  }
  throw new AppError('usage-invalid', {
    detail: `${skill} is no name of a skill.`,
    hint: 'Write it whole, such as dev.berth/files.',
  });
}
