import type { z } from 'zod';

/** One thing that is wrong with a document: where, what, and how to mend it. */
export interface Fault {
  /** Such as `permissions.network[0].host`; empty for the document as a whole. */
  path: string;
  problem: string;
  remedy: string;
}

/** More faults of one document than these help nobody. */
export const MAX_FAULTS = 200;

const SEPARATOR = ' — ';

/** A message for a zod check that also carries its remedy; reads well where only the message is shown. */
export function teach(problem: string, remedy: string): string {
  return `${problem}${SEPARATOR}${remedy}`;
}

/** `['permissions', 'network', 0, 'host']` as `permissions.network[0].host`. */
export function pathText(path: readonly PropertyKey[]): string {
  return path.reduce<string>((text, segment) => {
    if (typeof segment === 'number') return `${text}[${segment}]`;
    const key = String(segment);
    if (!/^[$A-Za-z_][$\w-]*$/.test(key)) return `${text}[${JSON.stringify(key)}]`;
    return text === '' ? key : `${text}.${key}`;
  }, '');
}

/**
 * Every issue of a failed parse as a fault, up to `MAX_FAULTS`. `schema` is the JSON Schema of the same document; it
 * knows which fields exist at a place, for a suggestion next to an unknown one.
 */
export function faultsOf(error: z.ZodError, input: unknown, schema: JsonSchema): Fault[] {
  const faults: Fault[] = [];
  for (const issue of error.issues) {
    if (faults.length >= MAX_FAULTS) break;
    faults.push(...faultsOfIssue(issue, input, schema));
  }
  return faults.slice(0, MAX_FAULTS);
}

function faultsOfIssue(issue: z.core.$ZodIssue, input: unknown, schema: JsonSchema): Fault[] {
  const path = pathText(issue.path);
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.slice(0, MAX_FAULTS).map((key) => ({
        path: pathText([...issue.path, key]),
        problem: 'is not a known field',
        remedy: remedyForUnknown(key, fieldsAt(schema, issue.path)),
      }));
    case 'invalid_type': {
      const value = valueAt(input, issue.path);
      if (value === undefined)
        return [{ path, problem: 'is missing', remedy: `Add ${aOrAn(issue.expected)} here.` }];
      return [
        {
          path,
          problem: `is ${aOrAn(kindOf(value))}, but must be ${aOrAn(issue.expected)}`,
          remedy: `Write ${aOrAn(issue.expected)}.`,
        },
      ];
    }
    case 'too_big':
      return [boundFault(path, 'more', Number(issue.maximum), issue.origin)];
    case 'too_small':
      return [boundFault(path, 'less', Number(issue.minimum), issue.origin)];
    case 'invalid_value':
      return [choiceFault(path, valueAt(input, issue.path), issue.values.map(String))];
    case 'invalid_union': {
      if (issue.message.includes(SEPARATOR)) return [lessonFault(path, issue.message)];
      return [choiceFault(path, valueAt(input, issue.path), choicesAt(schema, issue.path))];
    }
    case 'invalid_key':
      return issue.issues.map((inner) => {
        const [problem, remedy] = splitLesson(inner.message);
        return { path, problem: `has a name that is not allowed: ${problem}`, remedy };
      });
    default:
      return [lessonFault(path, issue.message)];
  }
}

function boundFault(path: string, side: 'more' | 'less', bound: number, origin: string): Fault {
  const unit = UNITS.get(origin);
  if (side === 'less' && bound === 1 && unit !== undefined) {
    return { path, problem: 'is empty', remedy: 'Fill it, or leave it out where it may be absent.' };
  }
  const limit = unit === undefined ? `${bound}` : `${bound} ${unit}`;
  return {
    path,
    problem: `is ${side} than ${limit}`,
    remedy: side === 'more' ? `Use ${limit} at most.` : `Use ${limit} at least.`,
  };
}

function choiceFault(path: string, value: unknown, words: readonly string[]): Fault {
  const near = typeof value === 'string' ? nearest(value, words) : undefined;
  return {
    path,
    problem: value === undefined ? 'is missing' : `is not one of ${words.join(', ')}`,
    remedy: near === undefined ? `Use one of ${words.join(', ')}.` : `Did you mean "${near}"?`,
  };
}

function lessonFault(path: string, message: string): Fault {
  const [problem, remedy] = splitLesson(message);
  return { path, problem, remedy };
}

const UNITS = new Map([
  ['string', 'characters'],
  ['array', 'entries'],
  ['record', 'entries'],
]);

function splitLesson(message: string): [problem: string, remedy: string] {
  const at = message.indexOf(SEPARATOR);
  if (at === -1) return [message, 'See docs/skill.schema.json.'];
  return [message.slice(0, at), message.slice(at + SEPARATOR.length)];
}

function remedyForUnknown(key: string, known: readonly string[]): string {
  const near = nearest(key, known);
  if (near !== undefined) return `Did you mean "${near}"?`;
  return known.length === 0 ? 'Remove it.' : `Remove it; the fields here are ${known.join(', ')}.`;
}

/** The known word that a reader most likely meant, or undefined when none is close. */
function nearest(word: string, known: readonly string[]): string | undefined {
  const scored = known
    .map((candidate) => ({ candidate, distance: editDistance(word.toLowerCase(), candidate.toLowerCase()) }))
    .sort((a, b) => a.distance - b.distance);
  const best = scored[0];
  if (best === undefined) return undefined;
  const tolerance = Math.max(1, Math.floor(Math.min(word.length, best.candidate.length) / 3));
  return best.distance <= tolerance ? best.candidate : undefined;
}

/** Levenshtein distance over at most 64 characters of each word, so that a hostile key costs nothing. */
function editDistance(left: string, right: string): number {
  const [a, b] = [left.slice(0, 64), right.slice(0, 64)];
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, substitution));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

/** The part of JSON Schema that is needed to find a place in a document. */
export type JsonSchema = z.core.JSONSchema.BaseSchema;

function fieldsAt(schema: JsonSchema, path: readonly PropertyKey[]): string[] {
  const fields = schemasAt(schema, path).flatMap((place) => Object.keys(place.properties ?? {}));
  return [...new Set(fields)];
}

function choicesAt(schema: JsonSchema, path: readonly PropertyKey[]): string[] {
  return schemasAt(schema, path).flatMap((place) => (place.const === undefined ? [] : [String(place.const)]));
}

function schemasAt(schema: JsonSchema, path: readonly PropertyKey[]): JsonSchema[] {
  return path.reduce<JsonSchema[]>(
    (places, segment) => places.flatMap((place) => alternatives(below(place, segment))),
    alternatives(schema),
  );
}

function below(schema: JsonSchema, segment: PropertyKey): JsonSchema['items'] {
  if (typeof segment === 'number') return schema.items;
  const key = String(segment);
  const properties = schema.properties ?? {};
  return Object.hasOwn(properties, key) ? properties[key] : schema.additionalProperties;
}

function alternatives(schema: JsonSchema['items']): JsonSchema[] {
  if (typeof schema !== 'object' || Array.isArray(schema)) return [];
  const choices = schema.oneOf ?? schema.anyOf;
  return choices === undefined ? [schema] : choices.flatMap(alternatives);
}

function valueAt(input: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>((value, segment) => {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, segment)) return undefined;
    return (value as Record<PropertyKey, unknown>)[segment];
  }, input);
}

function kindOf(value: unknown): string {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'array' : typeof value;
}

function aOrAn(noun: string): string {
  const name = { record: 'object', int: 'whole number' }[noun] ?? noun;
  if (name === 'null') return 'null';
  return `${/^[aeiou]/.test(name) ? 'an' : 'a'} ${name}`;
}
