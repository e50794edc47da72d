import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { AppError } from '../errors.ts';

/** A setting as documentation shows it. */
export interface Setting {
  /** Dotted, as in the file: `limits.uploadBytes`. */
  key: string;
  /** The environment variable: `BERTH_REGISTRY_LIMITS_UPLOAD_BYTES`. */
  env: string;
  description: string;
  type: string;
  /** `undefined` when there is none. */
  default: unknown;
  secret: boolean;
}

/** Where settings come from; each source wins over the ones before it, and all over the defaults. */
export interface ConfigSources {
  /** A JSON file; `undefined` means none. A named file must exist. */
  file?: string | undefined;
  env: Readonly<Record<string, string | undefined>>;
  /** `BERTH_REGISTRY_`: every variable that starts so must be a known setting. */
  prefix: string;
  /** Command line options, as nested values. */
  overrides?: Readonly<Record<string, unknown>> | undefined;
}

/** One wrong setting, in words for the person who wrote it. */
export interface ConfigFault {
  key: string;
  /** `file <path>`, the variable's name, `command line` or `default`. */
  source: string;
  value?: unknown;
  problem: string;
  remedy: string;
}

const FILE_MAX_BYTES = 1_048_576;

/**
 * The settings of one server, parsed once by one schema (strict objects of fields that have
 * `.describe(…)` and, for secrets, `.meta({ secret: true })`). Every fault is reported at once as
 * `config-invalid`, naming key, source, value (never a secret's) and remedy; unknown keys are faults.
 */
export async function loadConfig<Schema extends z.ZodObject>(
  schema: Schema,
  sources: ConfigSources,
): Promise<z.output<Schema>> {
  const settings = describeConfig(schema, sources.prefix);
  const fromFile = sources.file === undefined ? {} : await readConfigFile(sources.file);
  const faults: ConfigFault[] = [];
  const fromEnv = readEnvironment(settings, sources, faults);
  const merged = merge(merge(fromFile, fromEnv), sources.overrides ?? {});
  const parsed = schema.safeParse(merged);
  if (!parsed.success) {
    const sourceOf = (key: string) => {
      if (valueAt(sources.overrides ?? {}, key) !== undefined) return 'command line';
      if (valueAt(fromEnv, key) !== undefined)
        return settings.find((setting) => setting.key === key)?.env ?? 'environment';
      return valueAt(fromFile, key) === undefined ? 'default' : `file ${sources.file}`;
    };
    faults.push(...parsed.error.issues.flatMap((issue) => faultsOfIssue(issue, merged, settings, sourceOf)));
  }
  if (faults.length > 0) throw configInvalid(faults);
  return parsed.data as z.output<Schema>;
}

function configInvalid(faults: ConfigFault[]): AppError {
  const lines = faults.map(({ key, source, value, problem, remedy }) => {
    const shown = value === undefined ? '' : ` = ${JSON.stringify(value)}`;
    return `${key}${shown} (${source}): ${problem} ${remedy}`;
  });
  return new AppError('config-invalid', { detail: lines.join('\n'), data: { faults } });
}

function faultsOfIssue(
  issue: z.core.$ZodIssue,
  merged: object,
  settings: readonly Setting[],
  sourceOf: (key: string) => string,
): ConfigFault[] {
  const at = issue.path.map(String);
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((name) => {
      const key = [...at, name].join('.');
      return {
        key,
        source: sourceOf(key),
        problem: 'There is no such setting.',
        remedy: nearest(
          key,
          settings.map((setting) => setting.key),
        ),
      };
    });
  }
  const key = at.join('.');
  const setting = settings.find((known) => known.key === key);
  const value = setting?.secret === true ? '(hidden)' : valueAt(merged, key);
  const remedy =
    setting === undefined
      ? 'See the configuration page.'
      : `It takes ${withArticle(setting.type)}: ${setting.description}`;
  return [
    {
      key,
      source: sourceOf(key),
      ...(value === undefined ? {} : { value }),
      problem: `${issue.message}.`,
      remedy,
    },
  ];
}

function withArticle(type: string): string {
  if (type.startsWith('object,')) return `an ${type}`;
  return type === 'number' || type === 'boolean' || type === 'list' ? `a ${type}` : type;
}

function nearest(wrong: string, known: readonly string[]): string {
  const best = known
    .map((name) => ({ name, distance: editDistance(wrong, name) }))
    .toSorted((a, b) => a.distance - b.distance)[0];
  return best === undefined || best.distance > Math.max(2, wrong.length / 4)
    ? 'Remove it.'
    : `Did you mean ${best.name}?`;
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_value, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const substituted = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(substituted, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

async function readConfigFile(path: string): Promise<Record<string, unknown>> {
  const refuse = (problem: string, cause?: unknown): AppError =>
    new AppError('config-invalid', {
      detail: `The configuration file ${path} ${problem}.`,
      hint: 'Correct it, or start without it.',
      data: {
        faults: [{ key: '', source: `file ${path}`, problem, remedy: 'Correct it, or start without it.' }],
      },
      cause,
    });
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw refuse(`cannot be read (${error.code})`, error);
  });
  if (text.length > FILE_MAX_BYTES) throw refuse(`is larger than ${FILE_MAX_BYTES} bytes`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw refuse(`is not JSON (${(error as Error).message.slice(0, 120)})`, error);
  }
  if (!isRecord(value)) throw refuse('does not hold one JSON object');
  return value;
}

function readEnvironment(
  settings: readonly Setting[],
  { env, prefix }: ConfigSources,
  faults: ConfigFault[],
): Record<string, unknown> {
  let found: Record<string, unknown> = {};
  for (const [name, text] of Object.entries(env)) {
    if (!name.startsWith(prefix) || text === undefined) continue;
    const setting = settings.find((known) => known.env === name);
    if (setting === undefined) {
      const remedy = nearest(
        name,
        settings.map((known) => known.env),
      );
      faults.push({
        key: name,
        source: 'environment',
        problem: 'There is no such setting.',
        remedy,
      });
    } else found = merge(found, nested(setting.key, valueOfText(text, setting.type)));
  }
  return found;
}

/** A variable's text as the type its setting has; what does not fit stays text and is refused by the schema. */
function valueOfText(text: string, type: string): unknown {
  if (type === 'number') return text.trim() === '' ? text : Number.isNaN(Number(text)) ? text : Number(text);
  if (type === 'boolean')
    return text === 'true' || text === '1' ? true : text === 'false' || text === '0' ? false : text;
  if (type === 'list') return text === '' ? [] : text.split(',').map((item) => item.trim());
  return text;
}

/** Every setting of a schema, for documentation, `--help` and tests. */
export function describeConfig(schema: z.ZodObject, prefix: string): Setting[] {
  return settingsOf(schema, [], prefix);
}

function settingsOf(schema: z.ZodObject, above: readonly string[], prefix: string): Setting[] {
  return Object.entries(schema.shape).flatMap(([name, field]) => {
    const path = [...above, name];
    const { inner, fallback } = unwrap(field as z.ZodType);
    if (inner instanceof z.ZodObject) return settingsOf(inner, path, prefix);
    const meta = (field as z.ZodType).meta() ?? inner.meta() ?? {};
    return [
      {
        key: path.join('.'),
        env: `${prefix}${path.map(upperSnake).join('_')}`,
        description: meta.description ?? inner.description ?? '',
        type: typeName(inner),
        default: fallback,
        secret: meta['secret'] === true,
      },
    ];
  });
}

function unwrap(field: z.ZodType): { inner: z.ZodType; fallback: unknown } {
  let inner = field;
  let fallback: unknown;
  for (;;) {
    if (inner instanceof z.ZodDefault || inner instanceof z.ZodPrefault) {
      fallback = inner.def.defaultValue;
      inner = inner.def.innerType as z.ZodType;
    } else if (inner instanceof z.ZodOptional || inner instanceof z.ZodNullable)
      inner = inner.def.innerType as z.ZodType;
    else return { inner, fallback };
  }
}

function typeName(schema: z.ZodType): string {
  if (schema instanceof z.ZodNumber) return 'number';
  if (schema instanceof z.ZodBoolean) return 'boolean';
  if (schema instanceof z.ZodRecord) return 'object, in the file only';
  if (schema instanceof z.ZodArray)
    return schema.element instanceof z.ZodObject ? 'objects, in the file only' : 'list';
  if (schema instanceof z.ZodEnum) return schema.options.map((option) => JSON.stringify(option)).join(' | ');
  return 'text';
}

function upperSnake(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase();
}

function nested(key: string, value: unknown): Record<string, unknown> {
  return key.split('.').reduceRight<unknown>((inner, name) => ({ [name]: inner }), value) as Record<
    string,
    unknown
  >;
}

function valueAt(value: object, key: string): unknown {
  return key
    .split('.')
    .reduce<unknown>(
      (inner, name) => (isRecord(inner) && Object.hasOwn(inner, name) ? inner[name] : undefined),
      value,
    );
}

function merge(
  below: Readonly<Record<string, unknown>>,
  above: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const merged: Record<string, unknown> = { ...below };
  for (const [key, value] of Object.entries(above)) {
    const under = merged[key];
    if (value !== undefined) merged[key] = isRecord(value) && isRecord(under) ? merge(under, value) : value;
  }
  return merged;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
