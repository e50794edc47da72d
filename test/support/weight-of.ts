import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** What the control group of a process counts where processors are short, the default being 1. */
export async function weightOf(pid: number): Promise<number> {
  const lines = (await readFile(`/proc/${pid}/cgroup`, 'utf8')).trim().split('\n');
  for (const [id = '', names = '', path = ''] of lines.map((line) => line.split(':'))) {
    const folder = id === '0' ? '/sys/fs/cgroup' : `/sys/fs/cgroup/${names}`;
    if (id !== '0' && !names.split(',').includes('cpu')) continue;
    const [file, usual] = id === '0' ? ['cpu.weight', 100] : ['cpu.shares', 1024];
    const text = await readFile(join(folder, path, file), 'utf8').catch(() => undefined);
    if (text !== undefined) return Number(text) / usual;
  }
  return 1;
}
