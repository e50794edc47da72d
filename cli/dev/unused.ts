import { FILE_ORDER, NETWORK_ORDER } from '../../protocol/permissions/lattice.ts';
import { describe, NO_PERMISSIONS, type Permissions } from '../../protocol/permissions.ts';
import type { Used } from './learning.ts';

/**
 * Sentences about what a manifest asks and a recorded session and its tests never used, or used less of. Only what can be
 * watched is judged.
 */
export function unusedPermissions(asked: Permissions, sessions: readonly Used[]): string[] {
  const used: Used = {
    network: sessions.flatMap(({ network }) => network),
    filesystem: sessions.flatMap(({ filesystem }) => filesystem),
    subprocess: sessions.flatMap(({ subprocess }) => subprocess),
    env: sessions.flatMap(({ env }) => env),
  };
  const words = (part: Partial<Permissions>) => {
    const [sentence = ''] = describe({ ...NO_PERMISSIONS, ...part }, []).can;
    return sentence.replace(/^It can /, '').replace(/\.$/, '');
  };
  const never = (part: Partial<Permissions>) =>
    `It asks to ${words(part)}, which was never used in the recorded session and its tests.`;
  const hosts = asked.network.flatMap((entry) =>
    used.network.some((one) => NETWORK_ORDER.covers(entry, one)) ? [] : [never({ network: [entry] })],
  );
  const folders = asked.filesystem.flatMap((entry) => {
    const mine = used.filesystem.filter((one) => FILE_ORDER.covers(entry, one));
    if (mine.length === 0) return [never({ filesystem: [entry] })];
    return entry.mode === 'rw' && mine.every(({ mode }) => mode === 'r')
      ? [`It asks to write ${entry.path}, which was only read in the recorded session and its tests.`]
      : [];
  });
  const programs = asked.subprocess.filter((name) => !used.subprocess.includes(name));
  const variables = asked.env.filter((name) => !used.env.includes(name));
  return [
    ...hosts,
    ...folders,
    ...programs.map((name) => never({ subprocess: [name] })),
    ...variables.map((name) => never({ env: [name] })),
  ];
}
