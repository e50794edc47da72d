import { accessSync, closeSync, constants, openSync, readSync, realpathSync, statSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { normalise } from '../../protocol/permissions.ts';
import type { Ground } from './ground.ts';

/** Variables that every sandbox has, beside those that no manifest may name. */
const SET_INSIDE = new Set(['LANG', 'PWD']);
const ELF = Buffer.from([0x7f, 0x45, 0x4c, 0x46]);

/** What a session asks this machine, and nothing that changes it. */
export function hostQuestions(
  environment: Readonly<Record<string, string | undefined>>,
): Pick<Ground, 'kindOf' | 'hasProgram' | 'hasVariable'> {
  const programs = new Map<string, boolean>();
  return {
    kindOf(path) {
      try {
        return statSync(path).isDirectory() ? 'folder' : 'file';
      } catch {
        return undefined;
      }
    },
    hasProgram(name) {
      const known = programs.get(name) ?? isGrantable(name, environment['PATH'] ?? '');
      programs.set(name, known);
      return known;
    },
    hasVariable(name) {
      return (
        !SET_INSIDE.has(name) &&
        environment[name] !== undefined &&
        canBeAsked(() => normalise({ env: [name] }))
      );
    },
  };
}

/** Only a program can be granted, not a script that needs another one. */
function isGrantable(name: string, path: string): boolean {
  if (!canBeAsked(() => normalise({ subprocess: [{ exec: name }] }))) return false;
  return path.split(':').some((folder) => {
    if (!isAbsolute(folder)) return false;
    try {
      const file = realpathSync(join(folder, name));
      accessSync(file, constants.X_OK);
      return statSync(file).isFile() && beginsWith(file, ELF);
    } catch {
      return false;
    }
  });
}

function beginsWith(file: string, bytes: Buffer): boolean {
  const descriptor = openSync(file, 'r');
  try {
    const found = Buffer.alloc(bytes.length);
    readSync(descriptor, found);
    return found.equals(bytes);
  } finally {
    closeSync(descriptor);
  }
}

function canBeAsked(ask: () => unknown): boolean {
  try {
    ask();
    return true;
  } catch {
    return false;
  }
}
