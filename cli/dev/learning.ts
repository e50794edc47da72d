import type { EgressEvent } from '../../hub/egress/egress.ts';
import type { TraceListener } from '../../hub/sandbox/tracer.ts';
import { hostCovers, normalise, type Permissions } from '../../protocol/permissions.ts';
import { readGrantPath } from '../../protocol/permissions/paths.ts';
import { MAX_ENTRIES } from '../../protocol/permissions/shape.ts';
import { type Ground, inManifestWords, liesIn } from './ground.ts';
import { type LearnEvent, type Wish, wishId } from './learn-event.ts';
import { changes, folderOf, type Meaning, understand, understandBorder } from './understand.ts';

/** What a manifest can say of a session that was watched. */
export type Used = Pick<Permissions, 'network' | 'filesystem' | 'subprocess' | 'env'>;

/** What a session has shown of a skill, in a manifest's terms. */
export interface Learning {
  /** Takes what a tracer sees. */
  take: TraceListener;
  /** Takes what happened at the sandbox's border. */
  atBorder(event: EgressEvent): void;
  /** Takes names whose addresses the border was asked for: of some of them a skill wants no more than that. */
  atNames(names: Iterable<string>): void;
  /** What was refused and is not granted by now, in the order in which it was met. */
  wishes(): readonly Wish[];
  /** From now on it is judged by other grants; wishes that they grant are none any more. */
  standOn(ground: Ground): void;
  /** The least that grants all that was used; undefined when more was used than can be kept in mind. */
  used(): Used | undefined;
}

/** What is kept of one session; a skill that wants more than this is told of once. */
const MAX_WISHES = 300;
const MAX_NOTES = 100;
const MAX_FOLDERS = 20_000;
const MAX_HOSTS = 1_000;

/** Starts with nothing learned. `tell` hears of each new wish and each new word once. */
export function learning(
  first: Ground,
  tell: { wish: (wish: Wish) => void; note: (text: string) => void },
): Learning {
  let ground = first;
  let full = false;
  const wishes = new Map<string, Wish>();
  const notes = new Set<string>();
  /** By folder, in the words of a manifest. */
  const folders = new Map<string, 'r' | 'rw'>();
  const looked = new Set<string>();
  const hosts = new Map<string, Used['network'][number]>();
  const programs = new Set<string>();
  const variables = new Set<string>();

  function note(text: string): void {
    if (notes.has(text) || notes.size >= MAX_NOTES) return;
    notes.add(text);
    tell.note(text);
  }

  function wish(wanted: Wish): void {
    const id = wishId(wanted);
    if (wishes.has(id) || isStale(wanted, [...wishes.values()])) return;
    if (wishes.size >= MAX_WISHES)
      return note(`It wants more than ${MAX_WISHES} things; the rest is not shown.`);
    for (const [known, old] of wishes) if (isStale(old, [wanted])) wishes.delete(known);
    wishes.set(id, wanted);
    tell.wish(wanted);
  }

  function used(event: Wish): void {
    switch (event.kind) {
      case 'program':
        return void programs.add(event.name);
      case 'variable':
        return void variables.add(event.name);
      case 'host': {
        const { host, port, protocol } = event;
        if (port === undefined || protocol === undefined) return;
        if (hosts.size >= MAX_HOSTS) full = true;
        else hosts.set(wishId(event), { host, port, protocol });
        return;
      }
      case 'path':
        return need(event.path, event.mode);
    }
  }

  function need(folder: string, mode: 'r' | 'rw'): void {
    if (folders.size >= MAX_FOLDERS) full = true;
    else if (folders.get(folder) !== 'rw') folders.set(folder, mode);
  }

  function happened({ outcome, ...event }: LearnEvent): void {
    if (outcome === 'used') used(event);
    else wish(event);
  }

  function meant(meaning: Meaning | undefined): void {
    if (meaning === undefined) return;
    if (meaning.is === 'note') return note(meaning.text);
    if (meaning.is === 'event') return happened(meaning.event);
    const { path, act } = meaning;
    if (act !== 'look') return need(folderOf(ground, path, act), changes(act) ? 'rw' : 'r');
    if (looked.size >= MAX_FOLDERS) full = true;
    else looked.add(path);
  }

  return {
    take: (seen, { byOther }) => meant(understand(ground, seen, byOther)),
    atBorder: (event) => meant(understandBorder(ground, event)),
    atNames(names) {
      for (const host of names) {
        const isHost = /^[a-z0-9]/.test(host) && !/\.(?:arpa|invalid)$/.test(host);
        const isHeld = ground.granted.network.some((grant) => hostCovers(grant.host, host));
        if (isHost && !isHeld) wish({ kind: 'host', host });
      }
    },
    wishes: () => [...wishes.values()],
    standOn(now) {
      ground = now;
      for (const [id, one] of wishes) if (isGranted(one, now.granted)) wishes.delete(id);
    },
    used() {
      if (full) return undefined;
      const all = new Map(folders);
      for (const path of looked) {
        const words = inManifestWords(path, ground.roots) ?? path;
        const isOnTheWay = [...folders.keys()].some(
          (folder) => liesIn(words, folder) || liesIn(folder, words),
        );
        if (!isOnTheWay) all.set(folderOf(ground, path, 'look'), 'r');
      }
      return {
        network: sorted([...hosts.values()], ({ host, port }) => `${host} ${port}`),
        filesystem: leastFolders(all),
        subprocess: [...programs].sort(),
        env: [...variables].sort(),
      };
    },
  };
}

/** Folders as a manifest may name them, none of which another one covers. */
function leastFolders(folders: ReadonlyMap<string, 'r' | 'rw'>): Used['filesystem'] {
  const nameable = [...folders].map(([path, mode]) => ({ path: nameableFolder(path), mode }));
  const covered = (asked: readonly { path: string; mode: 'r' | 'rw' }[]) =>
    asked.filter(
      (one, at) =>
        !asked.some(
          (other, index) =>
            index !== at &&
            liesIn(one.path, other.path) &&
            (other.mode === 'rw' || one.mode === 'r') &&
            (other.path !== one.path || other.mode !== one.mode || index < at),
        ),
    );
  let least = covered(nameable);
  // A manifest has room for so many; then it is whole roots.
  if (least.length > MAX_ENTRIES)
    least = covered(least.map(({ path, mode }) => ({ path: path.replace(/(?<=\}).*$/s, ''), mode })));
  return normalise({ filesystem: least }).filesystem;
}

/** The nearest folder above whose name a manifest can hold. */
function nameableFolder(path: string): string {
  let folder = path;
  while (!readGrantPath(folder).ok && folder.includes('/')) folder = folder.slice(0, folder.lastIndexOf('/'));
  return folder;
}

/** Whether other wishes say the same and more. */
function isStale(wish: Wish, others: readonly Wish[]): boolean {
  return others.some((other) => {
    if (wish.kind === 'host')
      return (
        other.kind === 'host' &&
        other.host === wish.host &&
        wish.port === undefined &&
        other.port !== undefined
      );
    return (
      wish.kind === 'path' &&
      other.kind === 'path' &&
      wish.folder === other.folder &&
      liesIn(wish.path, other.path) &&
      (other.mode === 'rw' || wish.mode === 'r') &&
      wishId(wish) !== wishId(other)
    );
  });
}

function isGranted(wish: Wish, granted: Permissions): boolean {
  switch (wish.kind) {
    case 'program':
      return granted.subprocess.includes(wish.name);
    case 'variable':
      return granted.env.includes(wish.name) || granted.secrets.some(({ name }) => name === wish.name);
    case 'host':
      return granted.network.some(
        ({ host, port }) => host === wish.host && (wish.port === undefined || wish.port === port),
      );
    case 'path':
      return granted.filesystem.some(
        ({ path, mode }) => liesIn(wish.path, path) && (mode === 'rw' || wish.mode === 'r'),
      );
  }
}

function sorted<T>(list: readonly T[], key: (entry: T) => string): T[] {
  return [...list].sort((a, b) => (key(a) < key(b) ? -1 : 1));
}
