import { readdir, readFile } from 'node:fs/promises';

const O_CLOEXEC = 0o2000000;

/**
 * Descriptors above the standard three that a child of this process would inherit. Node closes its
 * own; these came from whoever started it, and Node passes them on.
 */
export async function inheritedDescriptors(): Promise<number[]> {
  const found = await Promise.all(
    (await readdir('/proc/self/fdinfo')).map(async (name) => {
      const info = await readFile(`/proc/self/fdinfo/${name}`, 'latin1').catch(() => '');
      const flags = /^flags:\s*([0-7]+)$/m.exec(info)?.[1];
      return flags === undefined || (Number.parseInt(flags, 8) & O_CLOEXEC) !== 0 ? [] : [Number(name)];
    }),
  );
  return found.flat().filter((number) => number > 2);
}
