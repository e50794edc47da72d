import { AppError } from '../protocol/errors.ts';

/** One line of a lock: a package, pinned, and the digests that its wheels may have. */
export interface LockedRequirement {
  /** As wheels are compared: lower case, `-` for `_` and `.` (PEP 503). */
  name: string;
  version: string;
  /** Holds on some platforms only (PEP 508); there may be no wheel of it here. */
  conditional: boolean;
  /** sha256, hexadecimal. */
  hashes: ReadonlySet<string>;
}

/** The lock beside `skill.json`, in the form of pip. */
export const LOCK_FILE = 'requirements.lock';

const MAX_REQUIREMENTS = 2000;
/** `name[extra]==version`; what follows is a condition or hashes. */
const PINNED =
  /^([A-Za-z0-9](?:[\w.-]*[A-Za-z0-9])?)\s*(?:\[[\w\s,.-]*\])?\s*==\s*([A-Za-z0-9.!+_-]+)\s*(;.*)?$/;

/**
 * Reads a lock as pip takes it with `--require-hashes`, and as `pip-compile --generate-hashes` and `uv pip compile
 * --generate-hashes` write it. Options for downloading mean nothing here, for nothing is downloaded.
 * @throws AppError `pack-failed` naming the line that is not pinned to a version and to digests.
 */
export function readRequirements(text: string): LockedRequirement[] {
  const found = new Map<string, LockedRequirement>();
  for (const line of logicalLines(text)) {
    if (/^-[^-]|^--(?:requirement|constraint|editable)\b/.test(line))
      throw wrong(line, 'refers to something outside of the lock');
    if (line.startsWith('--')) continue;
    const [head = '', ...options] = line.split(/\s+--hash[=\s]/);
    const [, name = '', version = '', condition] = PINNED.exec(head.trim()) ?? [];
    if (name === '') throw wrong(line, 'is not pinned to one version with ==');
    const hashes = options.flatMap((hash) => /^sha256:([0-9a-f]{64})$/.exec(hash.trim())?.[1] ?? []);
    if (hashes.length === 0) throw wrong(line, 'has no --hash=sha256:…');
    const key = normalised(name);
    if (found.has(key)) throw wrong(line, 'is locked twice');
    found.set(key, {
      name: key,
      version: normalisedVersion(version),
      conditional: condition !== undefined,
      hashes: new Set(hashes),
    });
    if (found.size > MAX_REQUIREMENTS) throw wrong(line, `is beyond the first ${MAX_REQUIREMENTS}`);
  }
  return [...found.values()];
}

/** A package's name as it is compared (PEP 503). */
export function normalised(name: string): string {
  return name.replaceAll(/[-_.]+/g, '-').toLowerCase();
}

/** File names write `_` where a version has `-` or `+`. */
export function normalisedVersion(version: string): string {
  return version.replaceAll(/[-_+]/g, '_').toLowerCase();
}

/** Lines without comments, those that end in `\` joined with the next. */
function logicalLines(text: string): string[] {
  return text
    .replaceAll('\r\n', '\n')
    .split('\n')
    .map((line) => (/^\s*#/.test(line) ? '' : line.replace(/\s#.*$/, '')))
    .join('\n')
    .replaceAll(/\\\n/g, ' ')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
}

function wrong(line: string, problem: string): AppError {
  return new AppError('pack-failed', {
    detail: `${LOCK_FILE}: ${JSON.stringify(line.slice(0, 80))} ${problem}.`,
    hint: `Make it with: pip-compile --generate-hashes -o ${LOCK_FILE}`,
  });
}
