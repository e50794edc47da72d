import { spawn } from 'node:child_process';
import { TAKE_STAND_INS_AWAY } from './guard.ts';
import { type Podman, podmanMark } from './podman.ts';
import type { ProcessIdentity } from './processes.ts';

/**
 * Waits for the end of its input and then of the hub, `$1`; then ends every container whose name begins with `$3`, until
 * two looks in a row find neither one nor a podman that is still at work for the hub (its command line begins with the
 * mark, `$2`); what was put into `$4` for their starts goes last, and then
 * what stood in for held-back places, by the hub's notes in `$5`: never while a container could put something there. Podman itself is let finish: killed while it makes a container, it leaves one that it does not know. The
 * rest of the arguments is podman with its options. Looks are counted, for anybody can write a mark.
 */
const SCRIPT = `
while read -r _; do :; done
hub=$1 mark=$2 name=$3 run=$4 notes=$5
shift 5
looks=0
while [ $looks -lt 1000 ] && grep -qs '^State:.[^ZX]' "/proc/$hub/status"; do looks=$((looks + 1)); done
looks=0
empty=0
while [ $looks -lt 300 ] && [ $empty -lt 2 ]; do
  looks=$((looks + 1))
  found=$(grep -lsa "^$mark" /proc/[0-9]*/cmdline)
  containers=$("$@" ps --all --quiet --filter "name=^$name" 2>/dev/null)
  [ -z "$containers" ] || "$@" rm --force --time 0 $containers >/dev/null 2>&1
  if [ -z "$found$containers" ]; then empty=$((empty + 1)); else empty=0; fi
done
rm -rf "$run/start-$name"*
${TAKE_STAND_INS_AWAY}`;

/**
 * Sees to it that no container outlives this process, however it ends: they are no children of ours, and the kernel
 * binds none of them to us. One small shell for a whole hub, which does nothing until then.
 */
export function startContainerGuard(
  shell: string,
  hub: ProcessIdentity,
  { program, options, env, runDir }: Podman,
  notes: string,
): void {
  const own = [String(hub.pid), podmanMark(hub, ''), `berth-${hub.pid}-${hub.startTime}-`, runDir, notes];
  const guard = spawn(shell, ['-c', SCRIPT, 'berth-guard', ...own, program, ...options], {
    cwd: '/',
    env,
    // Out of the hub's group: what ends the hub from a terminal must not end its guard first.
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  // A hub without its guard cannot keep its word; the next start ends what this one would have.
  guard.on('error', () => undefined);
  guard.stdin.on('error', () => undefined);
  guard.unref();
  (guard.stdin as unknown as { unref(): void }).unref();
}
