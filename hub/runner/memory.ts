import { readdir, readFile } from 'node:fs/promises';

/**
 * Bytes that each of these processes takes with everything below it, by its number; one that is gone takes none.
 * Pages that several share count in parts (PSS), for all skills of one runtime share most of its code. What lies in a
 * skill's scratch folders is not seen; its plan bounds that.
 *
 * One after the other, so that a look at many is never a burst.
 */
export async function memoryOfTrees(roots: readonly number[]): Promise<ReadonlyMap<number, number>> {
  const children = await childrenByParent();
  const sizes = new Map<number, number>();
  for (const root of roots) {
    let bytes = 0;
    for (const pid of withDescendants(root, children)) bytes += await bytesOf(pid);
    sizes.set(root, bytes);
  }
  return sizes;
}

async function childrenByParent(): Promise<ReadonlyMap<number, readonly number[]>> {
  const children = new Map<number, number[]>();
  for (const name of await readdir('/proc').catch(() => [])) {
    if (!/^\d+$/.test(name)) continue;
    const stat = await readFile(`/proc/${name}/stat`, 'latin1').catch(() => '');
    // The name before may hold anything: count from its end (proc_pid_stat(5)).
    const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
    if (!Number.isInteger(parent)) continue;
    const siblings = children.get(parent);
    if (siblings === undefined) children.set(parent, [Number(name)]);
    else siblings.push(Number(name));
  }
  return children;
}

function withDescendants(root: number, children: ReadonlyMap<number, readonly number[]>): readonly number[] {
  const found = [root];
  // Grows while it is walked. Numbers of processes are given again only after all others: there is no circle.
  for (const pid of found) found.push(...(children.get(pid) ?? []).filter((child) => !found.includes(child)));
  return found;
}

async function bytesOf(pid: number): Promise<number> {
  const shared = await kilobytes(`/proc/${pid}/smaps_rollup`, /^Pss:\s+(\d+) kB/m);
  // Kernels that do not let this account see the shares still tell everybody the whole.
  const kb = shared ?? (await kilobytes(`/proc/${pid}/status`, /^VmRSS:\s+(\d+) kB/m)) ?? 0;
  return kb * 1024;
}

async function kilobytes(file: string, pattern: RegExp): Promise<number | undefined> {
  const [, kb] = pattern.exec(await readFile(file, 'latin1').catch(() => '')) ?? [];
  return kb === undefined ? undefined : Number(kb);
}
