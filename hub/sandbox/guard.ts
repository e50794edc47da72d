import { spawn } from 'node:child_process';

/**
 * Waits for the end of its input, then ends every process whose command line begins with the mark,
 * until a look finds none. Anybody can write a mark, so the looks are counted;
 * grep's own verdict does not count, because processes come and go while it reads.
 */
const SCRIPT = `
while read -r _; do :; done
looks=0
while [ $looks -lt 100 ]; do
  found=$(grep -lsa "^$1" /proc/[0-9]*/cmdline)
  [ -n "$found" ] || break
  for file in $found; do
    pid=\${file#/proc/}
    kill -9 "\${pid%/cmdline}" 2>/dev/null
  done
  looks=$((looks + 1))
done
`;

/**
 * Sees to it that no sandbox outlives this process, however it ends. Bubblewrap asks the kernel for
 * that itself, but each of its processes only once it runs: one whose parent is killed in the
 * milliseconds before is left alone. The guard is one small shell for a whole hub; it holds the other
 * end of a pipe of ours, so that it learns of any death at once, and it does nothing until then.
 */
export function startGuard(shell: string, mark: string): void {
  const guard = spawn(shell, ['-c', SCRIPT, 'berth-guard', mark], {
    cwd: '/',
    env: { PATH: '/usr/bin:/bin' },
    // Out of the hub's group: what ends the hub from a terminal must not end its guard first.
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  // Without a guard the kernel's binding still holds; a machine without a shell is refused before.
  guard.on('error', () => undefined);
  guard.stdin.on('error', () => undefined);
  guard.unref();
  (guard.stdin as unknown as { unref(): void }).unref();
}
