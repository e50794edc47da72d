import { AppError } from '../protocol/errors.ts';
import { nameSchema } from '../protocol/manifest.ts';

/** `ns/name` as the parameters of a route. */
export function skillParams(name: string): { namespace: string; name: string } {
  const slash = fullName(name).indexOf('/');
  return { namespace: name.slice(0, slash), name: name.slice(slash + 1) };
}

/** @throws AppError `usage-invalid` when it is not the full name of a skill. */
export function fullName(name: string): string {
  if (nameSchema.safeParse(name).success) return name;
  const word = /^[\w.-]{1,60}$/.test(name) ? name : undefined;
  throw new AppError('usage-invalid', {
    detail: `${name.slice(0, 200)} is not the full name of a skill.`,
    hint: `Write namespace/name, such as dev.berth/files.${word === undefined ? '' : ` To look for it: berth search ${word}`}`,
  });
}

/** `ns/name@range` in its two parts; without `@`, any version. */
export function nameAndRange(text: string): { name: string; range: string | undefined } {
  const at = text.indexOf('@');
  return at < 0 ? { name: text, range: undefined } : { name: text.slice(0, at), range: text.slice(at + 1) };
}

/** `ns/name@version` as the parameters of a route that is about one version. */
export function versionParams(text: string): { namespace: string; name: string; version: string } {
  const { name, range } = nameAndRange(text);
  if (range) return { ...skillParams(name), version: range };
  throw new AppError('usage-invalid', {
    detail: `${text} does not say which version.`,
    hint: 'Write namespace/name@version, such as local.me/hello@1.0.0.',
  });
}
