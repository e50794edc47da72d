import { AppError } from '../protocol/errors.ts';

/** `ns/name` as the parameters of a route. */
export function skillParams(name: string): { namespace: string; name: string } {
  const slash = name.indexOf('/');
  if (slash > 0 && slash < name.length - 1)
    return { namespace: name.slice(0, slash), name: name.slice(slash + 1) };
  throw new AppError('usage-invalid', {
    detail: `${name} is not the full name of a skill.`,
    hint: 'Write namespace/name, such as dev.berth/files.',
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
