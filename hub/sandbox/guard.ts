import { spawn } from 'node:child_process';
import { markOf, type ProcessIdentity } from './processes.ts';

/** In the words of a shell: takes away the empty folders that the notes in `$notes` name. */
export const TAKE_STAND_INS_AWAY = `
folders=$(readlink "$notes"/folder.*)
set -f
IFS='
'
rmdir $folders 2>/dev/null
`;

/**
 * Waits for the end of its input and then of the hub, `$1`; ends every process of which the name or an argument
 * begins with the mark, until two looks in a row find none. The mark stands in its environment: as an argument it
 * would name the guard itself. The first wait is for the kernel: only when the hub is quite gone have all that it
 * binds to the hub been told. Looks are counted, because anybody can write a mark; grep's verdict is not asked,
 * because processes come and go while it reads.
 * Then it takes away the empty folders that stood in for what was held back, by the hub's notes in `$2`.
 */
const SCRIPT = `
while read -r _; do :; done
looks=0
while [ $looks -lt 1000 ] && grep -qs '^State:.[^ZX]' "/proc/$1/status"; do looks=$((looks + 1)); done
looks=0
empty=0
while [ $looks -lt 100 ] && [ $empty -lt 2 ]; do
  looks=$((looks + 1))
  found=$(grep -lsaz "^$MARK" /proc/[0-9]*/cmdline)
  if [ -z "$found" ]; then empty=$((empty + 1)); else empty=0; fi
  for file in $found; do
    pid=\${file#/proc/}
    kill -9 "\${pid%/cmdline}" 2>/dev/null
  done
done
notes=$2
${TAKE_STAND_INS_AWAY}`;

/**
 * Sees to it that no sandbox outlives this process, however it ends. Bubblewrap asks the kernel for
 * that itself, but each of its processes only once it runs: one whose parent is killed in the
 * milliseconds before is left alone. The guard is one small shell for a whole hub; it holds the other
 * end of a pipe of ours, so that it learns of any death at once, and it does nothing until then.
 */
export function startGuard(shell: string, hub: ProcessIdentity, notes: string): void {
  const guard = spawn(shell, ['-c', SCRIPT, 'berth-guard', String(hub.pid), notes], {
    cwd: '/',
    env: { PATH: '/usr/bin:/bin', MARK: markOf(hub, '') },
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
