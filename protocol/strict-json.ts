import { pathText, type Fault } from './faults.ts';

/** What a JSON document may be at most. */
export interface JsonLimits {
  bytes: number;
  /** Objects and arrays inside one another. */
  depth: number;
}

/**
 * Reads a JSON document that somebody signs or approves, so it must mean the same to every reader:
 * UTF-8 without a byte order mark, no name twice in one object, no `__proto__`, no lone surrogates, within limits.
 * Answers with the value, or with what is wrong.
 */
export function readStrictJson(
  input: Uint8Array | string,
  limits: JsonLimits,
): { ok: true; value: unknown } | { ok: false; faults: Fault[] } {
  const bytes = typeof input === 'string' ? Buffer.byteLength(input) : input.byteLength;
  if (bytes > limits.bytes) {
    return failed(`is ${bytes} bytes long`, `Keep it within ${limits.bytes} bytes.`);
  }
  const text = typeof input === 'string' ? input : decoded(input);
  if (text === undefined) return failed('is not UTF-8', 'Save the file as UTF-8.');
  if (text.startsWith('\ufeff'))
    return failed('begins with a byte order mark', 'Save the file as UTF-8 without one.');

  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return failed(
      `is not JSON: ${whereIn(text, error)}`,
      'Write strict JSON: no comments, no trailing commas.',
    );
  }
  const faults = structuralFaults(text, limits.depth);
  return faults.length === 0 ? { ok: true, value } : { ok: false, faults };
}

function failed(problem: string, remedy: string): { ok: false; faults: Fault[] } {
  return { ok: false, faults: [{ path: '', problem, remedy }] };
}

function decoded(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

/** The engine's words with a line and a column, which an author can go to. */
function whereIn(text: string, error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  const position = /at position (\d+)/.exec(message)?.[1];
  if (position === undefined) return 'it ends too early';
  const before = text.slice(0, Number(position)).split('\n');
  return `line ${before.length}, column ${(before.at(-1)?.length ?? 0) + 1}`;
}

interface Frame {
  /** Names so far; undefined in an array. */
  names: Set<string> | undefined;
  segment: string | number;
  /** Whether the next string of an object is a name. */
  awaitsName: boolean;
}

/** What `JSON.parse` lets pass. The text is known to be JSON, so its tokens can be trusted. */
function structuralFaults(text: string, maxDepth: number): Fault[] {
  const faults: Fault[] = [];
  const frames: Frame[] = [];
  const path = () => pathText(frames.map(({ segment }) => segment));
  const tokens = /"(?:[^"\\]|\\.)*"|[{}[\],]/gs;

  for (let match = tokens.exec(text); match !== null; match = tokens.exec(text)) {
    const token = match[0];
    const frame = frames.at(-1);
    if (token === '{' || token === '[') {
      if (frames.length === maxDepth) {
        return [{ path: path(), problem: `is nested more than ${maxDepth} deep`, remedy: 'Flatten it.' }];
      }
      const isObject = token === '{';
      frames.push({
        names: isObject ? new Set() : undefined,
        segment: isObject ? '' : 0,
        awaitsName: isObject,
      });
    } else if (token === '}' || token === ']') {
      frames.pop();
    } else if (token === ',') {
      if (typeof frame?.segment === 'number') frame.segment += 1;
      else if (frame !== undefined) frame.awaitsName = true;
    } else {
      const string = JSON.parse(token) as string;
      if (frame?.names !== undefined && frame.awaitsName) {
        frame.awaitsName = false;
        frame.segment = string;
        if (frame.names.has(string)) {
          faults.push({ path: path(), problem: 'is there twice', remedy: 'Keep one of them.' });
        }
        // Copies of an object lose a member of this name, or get another prototype from it.
        if (string === '__proto__') {
          faults.push({ path: path(), problem: 'is a name that JavaScript reserves', remedy: 'Rename it.' });
        }
        frame.names.add(string);
      }
      if (/\p{Surrogate}/u.test(string)) {
        faults.push({
          path: path(),
          problem: 'holds half a surrogate pair',
          remedy: 'Write the whole character.',
        });
      }
    }
  }
  return faults;
}
