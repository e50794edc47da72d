import type { SandboxRuntime } from '../../hub/sandbox/sandbox.ts';
import { VARIABLE_MARK } from './ground.ts';

const FOLDER = '/run/berth';

/** Asks for a file that cannot be, whose name says which variable was wanted: no channel of its own, and seen by the tracer. */
const NODE = `'use strict';
const { accessSync } = require('node:fs');
const asked = new Set();
const tell = (name) => {
  if (typeof name !== 'string' || asked.has(name) || !/^[A-Za-z_][A-Za-z0-9_]{0,63}$/.test(name)) return;
  asked.add(name);
  try { accessSync(${JSON.stringify(VARIABLE_MARK)} + name); } catch {}
};
delete process.env.NODE_OPTIONS;
process.env = new Proxy(process.env, {
  get(all, name) { tell(name); return all[name]; },
  has(all, name) { tell(name); return name in all; },
  set(all, name, value) { all[name] = value; return true; },
});
`;

const PYTHON = `import os, sys
def watch():
    folder = ${JSON.stringify(FOLDER)}
    rest = [one for one in os.environ.pop('PYTHONPATH', '').split(os.pathsep) if one and one != folder]
    if rest: os.environ['PYTHONPATH'] = os.pathsep.join(rest)
    sys.path[:] = [one for one in sys.path if one != folder]
    asked = set()
    kind = type(os.environ)
    get = kind.__getitem__
    def watched(self, name):
        if isinstance(name, str) and name not in asked and len(name) <= 64 and name.isascii() and name.isidentifier():
            asked.add(name)
            try: os.stat(${JSON.stringify(VARIABLE_MARK)} + name)
            except OSError: pass
        return get(self, name)
    kind.__getitem__ = watched
watch()
`;

/**
 * What shows which variables a program asks for. That is no system call: in learn runs a file is loaded before the
 * program of a runtime that allows it. Undefined for a runtime in which it cannot be seen.
 */
export function variableWatch(
  kind: SandboxRuntime['kind'],
): { files: Record<string, string>; env: Record<string, string> } | undefined {
  switch (kind) {
    case 'node':
      return {
        files: { [`${FOLDER}/variables.cjs`]: NODE },
        env: { NODE_OPTIONS: `--require=${FOLDER}/variables.cjs` },
      };
    case 'python':
      return { files: { [`${FOLDER}/sitecustomize.py`]: PYTHON }, env: { PYTHONPATH: FOLDER } };
    case 'binary':
      return undefined;
  }
}
