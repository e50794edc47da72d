import { resolveVersion } from '../protocol/version.ts';
import type { Change } from './store/store.ts';

/**
 * The version that stands for a skill: the highest release that isn't yanked, else the highest
 * pre-release, else none. Expects the newest version number first.
 */
function latestOf(versions: readonly { version: string; yanked: boolean }[]): string | undefined {
  return resolveVersion(versions, '*') ?? versions.find(({ yanked }) => !yanked)?.version;
}

/** Brings what a skill is shown and found by up to date, as part of a change. */
export async function showLatest(change: Change, name: string, time: string): Promise<void> {
  const latest = latestOf(await change.versionsOf(name));
  const record = latest === undefined ? undefined : await change.version(name, latest);
  await change.setLatest(name, record ?? null, time);
}
