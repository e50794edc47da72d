import { createHash } from 'node:crypto';

/** Some clients refuse longer tool names. */
const MAX_EXPOSED_NAME = 64;

/**
 * `<alias>__<name>`, in letters that every client takes and within 64 characters; where that would be
 * ambiguous or too long, a digest of the full name keeps it stable and unique.
 */
export function exposedName(alias: string, name: string, taken: ReadonlySet<string>): string {
  const plain = `${alias}__${name.replaceAll(/[^A-Za-z0-9_-]/g, '_')}`;
  if (plain.length <= MAX_EXPOSED_NAME && !taken.has(plain)) return plain;
  const mark = createHash('sha256').update(`${alias}\n${name}`).digest('hex').slice(0, 8);
  return `${plain.slice(0, MAX_EXPOSED_NAME - mark.length - 1)}_${mark}`;
}

/** A new skill's alias: its last name, else with the namespace's last label, else numbered. */
export function aliasFor(name: string, taken: ReadonlySet<string>): string {
  const [namespace = '', last = ''] = name.split('/');
  const label = namespace.split('.').at(-1) ?? '';
  const wishes = [last.slice(0, 24), `${label}-${last}`.slice(0, 24)];
  for (let number = 2; ; number += 1) {
    const free = wishes.find((wish) => !taken.has(wish));
    if (free !== undefined) return free;
    wishes.push(`${last.slice(0, 20)}-${number}`);
  }
}
