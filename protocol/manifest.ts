import { z } from 'zod';
import { faultOfPath } from './archive/paths.ts';
import { effectSchema, inEffectOrder } from './effects.ts';
import { AppError } from './errors.ts';
import { faultsOf, MAX_FAULTS, teach, type Fault, type JsonSchema } from './faults.ts';
import { configSchema } from './manifest/config-field.ts';
import { crossFaults } from './manifest/references.ts';
import { mapKey } from './manifest/map-key.ts';
import { declaredPermissionsSchema, lineSchema } from './permissions/declared.ts';
import { readStrictJson } from './strict-json.ts';
import { versionSchema } from './version.ts';

export { EFFECTS, type Effect } from './effects.ts';
export type { ConfigField } from './manifest/config-field.ts';

/** What a manifest may be at most. */
export const MANIFEST_LIMITS = { bytes: 256 * 1024, depth: 16 } as const;

/** The era without handshake and sessions. */
export const MODERN_ERA = '2026-07-28';

/** The protocol eras that a server may speak, newest first; it speaks exactly one. */
export const PROTOCOL_ERAS = [MODERN_ERA, '2025-11-25', '2025-06-18', '2025-03-26', '2024-11-05'] as const;

const NAMESPACE = /^[a-z](?:-?[a-z0-9])*(?:\.[a-z0-9](?:-?[a-z0-9])*)+$/;
const NAME = /^[a-z0-9](?:-?[a-z0-9])*$/;

/** A skill's name: a reverse-DNS namespace of two labels at least, a slash, and one word. */
export const nameSchema = z
  .string()
  .max(200)
  .refine(
    isName,
    teach(
      'is not the name of a skill',
      'Write a reversed domain, a slash and one word of a-z, 0-9 and inner hyphens, such as "com.acme/weather".',
    ),
  )
  .meta({ pattern: `${NAMESPACE.source.replace('$', '')}/${NAME.source.replace('^', '')}` });

function isName(text: string): boolean {
  const [namespace = '', name = '', ...more] = text.split('/');
  return (
    more.length === 0 &&
    NAMESPACE.test(namespace) &&
    namespace.length <= 128 &&
    namespace.split('.').every((label) => label.length <= 63) &&
    NAME.test(name) &&
    name.length <= 64
  );
}

/** `com.acme/weather` in its two parts. */
export function splitName(name: string): { namespace: string; name: string } {
  const slash = name.indexOf('/');
  return { namespace: name.slice(0, slash), name: name.slice(slash + 1) };
}

/** What MCP allows as the name of a tool. */
export const toolNameSchema = mapKey(
  /^[A-Za-z0-9_.-]{1,128}$/,
  teach('is not the name of a tool', 'Use 1 to 128 letters, digits, "_", "-" and ".".'),
);

const packagePath = z
  .string()
  .max(240)
  .superRefine((path, ctx) => {
    const fault = path.startsWith('/') ? 'is an absolute path' : faultOfPath(path);
    if (fault === undefined) return;
    ctx.addIssue({
      code: 'custom',
      message: teach(fault, 'Write a path inside the package, such as "server/index.ts".'),
    });
  });

const httpsUrl = z
  .string()
  .max(2048)
  .refine(
    (text) => {
      if (!URL.canParse(text)) return false;
      const url = new URL(text);
      return url.protocol === 'https:' && url.username === '' && url.password === '' && url.hash === '';
    },
    teach('is not a plain https address', 'Write "https://…" without a user, a password or a fragment.'),
  );

const protocol = z.enum(PROTOCOL_ERAS).describe('The one era of MCP that the server speaks.');

const local = <Kind extends 'node' | 'python' | 'binary'>(kind: Kind) =>
  z.strictObject({
    kind: z.literal(kind),
    entry: packagePath.describe('The file that starts the server, inside the package.'),
    args: z
      .array(z.string().max(1024))
      .max(64)
      .default([])
      .describe('May mention ${workspace}, ${data} and ${config.x}.'),
    protocol,
  });

const runtimeSchema = z.discriminatedUnion('kind', [
  local('node'),
  local('python'),
  local('binary'),
  z.strictObject({ kind: z.literal('remote'), url: httpsUrl, protocol }),
  z.strictObject({ kind: z.literal('prompt-only') }),
]);

const argumentName = z.string().min(1).max(128);

const toolDeclarationSchema = z.strictObject({
  effects: z
    .array(effectSchema)
    .min(1)
    .max(7)
    .overwrite(inEffectOrder)
    .describe(
      'What the tool does to the world; for a tool that is not declared here, its annotations count.',
    ),
  reversible: z.boolean().optional().describe('Whether its effects can be taken back.'),
  preview: z
    .strictObject({ argument: argumentName })
    .optional()
    .describe('The boolean argument with which the tool only shows what it would do.'),
  idempotencyKey: argumentName
    .optional()
    .describe('The argument that makes a repeated call have its effect once.'),
  compensate: z
    .strictObject({
      tool: toolNameSchema,
      args: z
        .record(z.string().min(1).max(128), z.json())
        .default({})
        .describe('Values; a string such as "$.id" is taken from the result.'),
    })
    .optional()
    .describe('The call that takes the effects back.'),
});

const uniqueWords = (word: z.ZodString, most: number) =>
  z
    .array(word)
    .max(most)
    .refine((list) => new Set(list).size === list.length, teach('holds a word twice', 'Keep one of them.'))
    .default([]);

const manifestShape = z.strictObject({
  $schema: z.string().max(300).optional(),
  name: nameSchema,
  version: versionSchema,
  title: lineSchema(100),
  description: lineSchema(100),
  license: z
    .string()
    .max(100)
    .regex(
      /^[A-Za-z0-9][A-Za-z0-9 .()+:-]*$/,
      teach('is not an SPDX expression', 'Write one such as "Apache-2.0".'),
    ),
  repository: z.strictObject({ url: httpsUrl, subfolder: z.string().min(1).max(240).optional() }).optional(),
  keywords: uniqueWords(lineSchema(40), 20),
  categories: uniqueWords(
    z
      .string()
      .regex(
        /^[a-z0-9](?:-?[a-z0-9]){0,39}$/,
        teach('is not a category', 'Use lower-case words with hyphens.'),
      ),
    5,
  ),
  runtime: runtimeSchema,
  files: z
    .array(packagePath)
    .max(200)
    .default([])
    .describe('Packed beside the code; a folder stands for its whole tree.'),
  config: configSchema.default({}),
  permissions: declaredPermissionsSchema.prefault({}),
  stateless: z
    .boolean()
    .optional()
    .describe(
      'Whether a tool that only reads may run in a process of its own whose folders are all read-only, because no call relies on what an earlier one left in memory.',
    ),
  tools: z.record(toolNameSchema, toolDeclarationSchema).default({}),
});

/** A manifest whose parts fit each other, with defaults filled. Parsing it again changes nothing. */
export const manifestSchema = manifestShape.superRefine((manifest, ctx) => {
  for (const { at, problem, remedy } of crossFaults(manifest)) {
    ctx.addIssue({ code: 'custom', path: at, message: teach(problem, remedy) });
  }
});

/** What everybody is told who is shown a skill of this kind: in a sentence, undefined where nothing is to be said. */
export function unverifiable(kind: string): string | undefined {
  return kind === 'remote'
    ? 'It runs elsewhere and cannot be verified: nothing promises that what answers tomorrow is what was reviewed today.'
    : undefined;
}

/** `skill.json`, read. `permissions` are as declared; `normalise` makes them comparable. */
export type Manifest = z.output<typeof manifestSchema>;

/**
 * Reads `skill.json`.
 * @throws AppError `manifest-invalid` with every fault in `data.faults`, each `{path, problem, remedy}`.
 */
export function parseManifest(input: Uint8Array | string): Manifest {
  const json = readStrictJson(input, MANIFEST_LIMITS);
  if (!json.ok) throw manifestInvalid(json.faults);
  const parsed = manifestSchema.safeParse(json.value);
  if (parsed.success) return parsed.data;

  // A refinement is skipped where the shape has faults; an author wants to hear of both at once.
  const shape = manifestShape.safeParse(json.value);
  const issues = shape.success ? [] : faultsOf(shape.error, json.value, manifestJsonSchema());
  const known = new Set(issues.map(({ path }) => path));
  const across = crossFaults(json.value).filter(({ path }) => !known.has(path));
  throw manifestInvalid([
    ...issues,
    ...across.map(({ path, problem, remedy }) => ({ path, problem, remedy })),
  ]);
}

function manifestInvalid(faults: Fault[]): AppError {
  const [first] = faults;
  const shown = faults.slice(0, MAX_FAULTS);
  const count = faults.length === 1 ? 'one fault' : `${faults.length} faults, the first`;
  return new AppError('manifest-invalid', {
    detail: `skill.json has ${count}: ${[first?.path, first?.problem].filter(Boolean).join(' ')}.`,
    ...(first === undefined ? {} : { hint: first.remedy }),
    data: { faults: shown },
  });
}

/** The JSON Schema of `skill.json`, for editors; `docs/skill.schema.json` holds it. */
export function manifestJsonSchema(): JsonSchema {
  const schema = z.toJSONSchema(manifestShape, { io: 'input', target: 'draft-2020-12' });
  return {
    ...schema,
    $id: 'https://berth.dev/schema/skill.v1.json',
    title: 'skill.json, the manifest of a Berth skill',
  };
}
