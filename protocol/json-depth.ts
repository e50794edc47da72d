import { AppError } from './errors.ts';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** Refuses JSON nested deeper than `maxDepth`, before a parser or a schema recurses into it. */
export function refuseDeepJson(text: Uint8Array, maxDepth: number): void {
  let depth = 0;
  let inString = false;
  for (let index = 0; index < text.length; index += 1) {
    const byte = text[index];
    if (inString) {
      if (byte === BACKSLASH) index += 1;
      else if (byte === QUOTE) inString = false;
    } else if (byte === QUOTE) inString = true;
    else if (byte === 0x7b || byte === 0x5b) {
      depth += 1;
      if (depth > maxDepth)
        throw new AppError('request-invalid', {
          detail: `The JSON is nested more than ${maxDepth} levels deep.`,
        });
    } else if (byte === 0x7d || byte === 0x5d) depth -= 1;
  }
}

/** Whether a parsed value is nested deeper than `maxDepth`; found without recursing into it. */
export function isDeeperThan(value: unknown, maxDepth: number): boolean {
  let level = [value].filter(isNested);
  for (let depth = 0; level.length > 0; depth += 1) {
    if (depth === maxDepth) return true;
    level = level.flatMap((nested) => Object.values(nested).filter(isNested));
  }
  return false;
}

function isNested(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}
