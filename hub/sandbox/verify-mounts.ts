import { lstat, readFile } from 'node:fs/promises';
import { identityIn } from './folder-identity.ts';
import {
  liesIn,
  type Mount,
  mountOf,
  mountsBelow,
  parseMountTable,
  placeOf,
  placesIn,
} from './mount-table.ts';
import type { HeldMount } from './mounts.ts';
import type { ProcessIdentity } from './processes.ts';
import { isAlive } from './processes.ts';

/** What is mounted where for this process. */
export async function ownMountTable(): Promise<Mount[]> {
  return parseMountTable(await readFile('/proc/self/mountinfo', 'utf8'));
}

/** What is mounted where for another; undefined where it is gone. */
export async function mountTableOf({ pid }: ProcessIdentity): Promise<Mount[] | undefined> {
  const text = await readFile(`/proc/${pid}/mountinfo`, 'utf8').catch(() => undefined);
  return text === undefined || text === '' ? undefined : parseMountTable(text);
}

/** Between two looks at a sandbox that is being set up, which takes a few milliseconds. */
const PAUSE_MS = 1;
const MAX_LOOKS = 10_000;

/**
 * What is wrong with the folders that a sandbox was really given; undefined where all is as it was held open.
 * The program has not been started yet, so that what was swapped between looking and mounting, or whatever a
 * mount brought along, is never seen by it. `tableOf` answers with its mounts once there will be no others.
 */
export async function faultOfMounts(
  first: ProcessIdentity,
  {
    held,
    forbidden,
    own,
  }: { held: readonly HeldMount[]; forbidden: readonly string[]; own: readonly Mount[] },
  tableOf: (first: ProcessIdentity, own: readonly Mount[]) => Promise<Mount[] | undefined> = settledTable,
): Promise<string | undefined> {
  const table = await tableOf(first, own);
  if (table === undefined) return 'its folders were not there in time';
  const secret = forbidden.flatMap((folder) => placesIn(own, folder));
  for (const { target, mode, identity, isData } of held) {
    const mount = mountOf(table, target);
    if (mount?.point !== target || !holds(mount, mode)) return `${target} is not mounted as it was granted`;
    const found = await lstat(`/proc/${first.pid}/root${target}`, { bigint: true }).catch(() => undefined);
    const there = found === undefined ? undefined : identityIn(found);
    if (there?.inode !== identity.inode || there.device !== identity.device)
      return `something else was put in the place of ${target} while it was mounted`;
    if (isData) continue;
    const place = placeOf(table, target);
    const within = mountsBelow(table, target).filter(
      ({ point }) => !held.some((one) => one.target === point),
    );
    if (within.some((one) => !holds(one, mode)))
      return `a file system that is mounted in ${target} could not be held`;
    const shown = [place, ...within.map(({ device, root }) => ({ device, path: root }))];
    if (
      secret.some((one) =>
        shown.some((seen) => seen !== undefined && (liesIn(one, seen) || liesIn(seen, one))),
      )
    )
      return `${target} shows the folder in which the hub keeps its keys and records`;
  }
  return undefined;
}

/** Whether every place that is to be read-only is mounted still: what is removed on the host takes its mount along. */
export async function areMounted(first: ProcessIdentity, held: readonly HeldMount[]): Promise<boolean> {
  const text = await readFile(`/proc/${first.pid}/mountinfo`, 'utf8').catch(() => undefined);
  if (text === undefined) return !(await isAlive(first));
  const points = new Set(parseMountTable(text).map(({ point }) => point));
  return held.every(({ target }) => points.has(target));
}

/** No program there runs as its owner, no node is a device, and nothing is written where only reading was granted. */
function holds({ options }: Mount, mode: 'r' | 'rw'): boolean {
  return options.has('nosuid') && options.has('nodev') && (mode === 'rw' || options.has('ro'));
}

/**
 * The mounts of the sandbox once bubblewrap is done with them. Its last step makes the root read-only, which is
 * a file system of the sandbox's own.
 */
async function settledTable(first: ProcessIdentity, own: readonly Mount[]): Promise<Mount[] | undefined> {
  const devices = new Set(own.map(({ device }) => device));
  for (let look = 0; look < MAX_LOOKS; look += 1) {
    const text = await readFile(`/proc/${first.pid}/mountinfo`, 'utf8').catch(() => '');
    const table = parseMountTable(text);
    const root = mountOf(table, '/');
    if (root?.type === 'tmpfs' && root.options.has('ro') && !devices.has(root.device)) return table;
    if (!(await isAlive(first))) return undefined;
    // Only the kernel knows, and it tells nobody.
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
  return undefined;
}
