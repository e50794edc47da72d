import { networkId } from './atoms.ts';
import { FILE_ORDER, NETWORK_ORDER, SECRET_ORDER, WORD_ORDER, type Order } from './lattice.ts';
import { words } from './sentences.ts';
import { RESOURCE_NAMES, type Permissions, type ResourceName } from './shape.ts';

/** One difference between two sets of permissions. */
export interface Change {
  /** The id of the atom that changed, as it is called after the change where it still exists. */
  id: string;
  /** "It can now …", "It can no longer …", "It can only …". */
  sentence: string;
  /** The entry before; absent when it was added. */
  before?: unknown;
  /** The entry after; absent when it was removed. */
  after?: unknown;
}

export interface PermissionDiff {
  /** Asked for now, and nothing like it before. */
  added: Change[];
  /** More of something that was there: write beside read, a folder further up, more memory. */
  widened: Change[];
  /** Less of something that is still there. */
  narrowed: Change[];
  /** Not asked for any more. */
  removed: Change[];
}

/**
 * What changed from `before` to `after`, in words. Empty exactly when each covers the other; without
 * `added` and `widened` exactly when `before` covers `after`.
 */
export function diff(before: Permissions, after: Permissions): PermissionDiff {
  return joined([
    compared(
      FILE_ORDER,
      before.filesystem,
      after.filesystem,
      ({ path }) => `filesystem:${path}`,
      words.filesystem,
    ),
    compared(NETWORK_ORDER, before.network, after.network, networkId, words.network),
    compared(SECRET_ORDER, before.secrets, after.secrets, ({ name }) => `secrets:${name}`, words.secret),
    compared(WORD_ORDER, before.env, after.env, (name) => `env:${name}`, words.env),
    compared(
      WORD_ORDER,
      before.subprocess,
      after.subprocess,
      (name) => `subprocess:${name}`,
      words.subprocess,
    ),
    compared(WORD_ORDER, switches(before), switches(after), (id) => id, switchWords),
    ...RESOURCE_NAMES.map((name) => comparedResource(name, before, after)),
  ]);
}

/** Whether a change asks for anything that was not approved before. */
export function isWider({ added, widened }: PermissionDiff): boolean {
  return added.length > 0 || widened.length > 0;
}

function compared<T>(
  order: Order<T>,
  before: readonly T[],
  after: readonly T[],
  idOf: (entry: T) => string,
  wordsOf: (entry: T) => string,
): PermissionDiff {
  const changes = noChanges();
  for (const entry of after) {
    if (before.some((old) => order.covers(old, entry))) continue;
    const less = before.filter((old) => order.covers(entry, old));
    if (less.length === 0) {
      changes.added.push({ id: idOf(entry), sentence: `It can now ${wordsOf(entry)}`, after: entry });
    } else {
      const was = less.map(wordsOf).join('; ');
      changes.widened.push({
        id: idOf(entry),
        sentence: `It can now ${wordsOf(entry)} (before: ${was})`,
        before: less,
        after: entry,
      });
    }
  }
  for (const entry of before) {
    if (after.some((now) => order.covers(now, entry))) continue;
    const less = after.filter((now) => order.covers(entry, now));
    if (less.length === 0) {
      changes.removed.push({
        id: idOf(entry),
        sentence: `It can no longer ${wordsOf(entry)}`,
        before: entry,
      });
    } else {
      const is = less.map(wordsOf).join('; ');
      changes.narrowed.push({
        id: idOf(entry),
        sentence: `It can only ${is} (before: ${wordsOf(entry)})`,
        before: entry,
        after: less,
      });
    }
  }
  return changes;
}

function switches({ background, mcp }: Permissions): string[] {
  return [
    ...(background ? ['background'] : []),
    ...(['sampling', 'elicitation', 'roots'] as const)
      .filter((name) => mcp[name])
      .map((name) => `mcp:${name}`),
  ];
}

function switchWords(id: string): string {
  const name = id.replace('mcp:', '') as 'background' | 'sampling' | 'elicitation' | 'roots';
  return words[name]();
}

const RESOURCE_WORDS: Record<ResourceName, string> = {
  memoryMb: 'MB of memory',
  cpus: 'processors',
  pids: 'processes',
  timeoutMs: 'ms a call',
  diskMb: 'MB of scratch space',
};

function comparedResource(name: ResourceName, old: Permissions, now: Permissions): PermissionDiff {
  const [before, after] = [old.resources[name], now.resources[name]];
  const sentence = `It can ${after > before ? 'now' : 'only'} use up to ${after} ${RESOURCE_WORDS[name]} (before: ${before})`;
  const change: Change = { id: 'resources', sentence, before: { [name]: before }, after: { [name]: after } };
  return {
    ...noChanges(),
    widened: after > before ? [change] : [],
    narrowed: after < before ? [change] : [],
  };
}

function noChanges(): PermissionDiff {
  return { added: [], widened: [], narrowed: [], removed: [] };
}

function joined(parts: readonly PermissionDiff[]): PermissionDiff {
  return {
    added: parts.flatMap(({ added }) => added),
    widened: parts.flatMap(({ widened }) => widened),
    narrowed: parts.flatMap(({ narrowed }) => narrowed),
    removed: parts.flatMap(({ removed }) => removed),
  };
}
