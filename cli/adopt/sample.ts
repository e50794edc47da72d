const MAX_DEPTH = 6;
/** Where a made-up path leads: a scratch folder, since the skill is granted nothing yet. */
const FOLDER = '/workspace';

/**
 * Arguments that fit an input schema well enough to be let in, made without knowing what they mean: required ones,
 * with the schema's own examples, defaults and choices where it has any. The same schema gives the same arguments.
 */
export function sampleArguments(schema: unknown): Record<string, unknown> {
  const value = sampleOf(schema, 'arguments', 0);
  return isObject(value) ? value : {};
}

function sampleOf(schema: unknown, name: string, depth: number): unknown {
  if (!isObject(schema) || depth > MAX_DEPTH) return null;
  const { const: only, default: usual, examples, enum: choices, anyOf, oneOf, allOf } = schema;
  if (only !== undefined) return only;
  if (usual !== undefined) return usual;
  if (Array.isArray(examples) && examples.length > 0) return examples[0];
  if (Array.isArray(choices) && choices.length > 0) return choices[0];
  const [variant] = [anyOf, oneOf, allOf].filter(Array.isArray).flat();
  if (schema['type'] === undefined && variant !== undefined) return sampleOf(variant, name, depth + 1);
  const type = Array.isArray(schema['type']) ? (schema['type'] as unknown[])[0] : schema['type'];
  switch (type) {
    case 'string':
      return stringOf(schema, name);
    case 'integer':
    case 'number':
      return typeof schema['minimum'] === 'number' ? schema['minimum'] : 1;
    case 'boolean':
      return false;
    case 'array':
      return [sampleOf(schema['items'], name.replace(/s$/, ''), depth + 1)];
    case 'object':
      return objectOf(schema, depth);
    default:
      return schema['properties'] === undefined ? null : objectOf(schema, depth);
  }
}

function objectOf(schema: Record<string, unknown>, depth: number): Record<string, unknown> {
  const properties = isObject(schema['properties']) ? schema['properties'] : {};
  const required = Array.isArray(schema['required']) ? (schema['required'] as unknown[]) : [];
  return Object.fromEntries(
    Object.entries(properties)
      .filter(([name]) => required.includes(name))
      .map(([name, property]) => [name, sampleOf(property, name, depth + 1)]),
  );
}

function stringOf({ format, minLength }: Record<string, unknown>, name: string): string {
  if (format === 'uri' || /url|uri|link|href/i.test(name)) return 'https://example.com/';
  if (format === 'date') return '2026-01-01';
  if (format === 'date-time') return '2026-01-01T00:00:00Z';
  if (format === 'email') return 'someone@example.com';
  if (format === 'uuid') return '00000000-0000-4000-8000-000000000000';
  if (/dir|folder|root|cwd/i.test(name)) return FOLDER;
  if (/path|file|source|destination/i.test(name)) return `${FOLDER}/berth.txt`;
  return 'berth'.padEnd(typeof minLength === 'number' ? Math.min(minLength, 1_000) : 0, '-');
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
