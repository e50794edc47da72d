import { posix } from 'node:path';
import type { SandboxDriver } from '../../hub/sandbox/sandbox.ts';
import type { Seen } from '../../hub/sandbox/trace-call.ts';
import { AppError } from '../../protocol/errors.ts';
import { hostCovers, type Permissions } from '../../protocol/permissions.ts';
import { inManifestWords, VARIABLE_MARK } from './ground.ts';
import type { Used } from './learning.ts';
import type { LearnSandbox } from './sandbox.ts';
import { changes } from './understand.ts';
import { variableWatch } from './variables.ts';

const MAX_USES = 20_000;
/** Tests run with scratch folders in the roots' places. */
const ROOTS = [
  { reference: '${workspace}', inside: '/workspace' },
  { reference: '${data}', inside: '/data' },
];

/**
 * A sandbox for tests that sees what they try to use of what is asked: they run without grants, so trying counts.
 * Undefined where nothing can be watched.
 */
export async function watchTests(
  learn: LearnSandbox | undefined,
  asked: Permissions,
): Promise<{ driver: SandboxDriver; used(): Used[] } | undefined> {
  if (learn === undefined || !(await canWatch(learn))) return undefined;
  const uses: Used[] = [];
  learn.listen((seen) => {
    const use = useIn(asked, seen);
    if (use !== undefined && uses.length < MAX_USES) uses.push({ ...NOTHING, ...use });
  });
  return {
    driver: {
      ...learn.driver,
      start(plan) {
        const watch = variableWatch(plan.runtime.kind);
        return learn.driver.start({
          ...plan,
          files: { ...plan.files, ...watch?.files },
          env: { ...plan.env, ...watch?.env },
        });
      },
    },
    used: () => uses,
  };
}

const NOTHING: Used = { network: [], filesystem: [], subprocess: [], env: [] };

async function canWatch(learn: LearnSandbox): Promise<boolean> {
  return learn.check().then(
    () => true,
    (error: unknown) => {
      if (error instanceof AppError && error.code === 'learn-unavailable') return false;
      throw error;
    },
  );
}

/** What of the asked permissions something that was seen tries to use. */
function useIn(asked: Permissions, seen: Seen): Partial<Used> | undefined {
  switch (seen.kind) {
    case 'path': {
      const { path, act } = seen;
      if (path.startsWith(VARIABLE_MARK)) return { env: [path.slice(VARIABLE_MARK.length)] };
      const words = inManifestWords(path, ROOTS);
      return words === undefined
        ? undefined
        : { filesystem: [{ path: words, mode: changes(act) ? 'rw' : 'r' }] };
    }
    case 'program':
      return { subprocess: [posix.basename(seen.path)] };
    case 'name':
      return { network: asked.network.filter(({ host }) => hostCovers(host, seen.name)) };
    case 'connect':
      return {
        network: asked.network.filter(({ host, port }) => host === seen.address && port === seen.port),
      };
  }
}
