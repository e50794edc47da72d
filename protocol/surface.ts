import { z } from 'zod';
import { canonicalJson, digestOf, digestSchema, type Digest, type Json } from './canonical.ts';
import { AppError } from './errors.ts';
import { faultsOf, MAX_FAULTS, pathText, teach, type Fault } from './faults.ts';
import { toolNameSchema } from './manifest.ts';
import { readStrictJson } from './strict-json.ts';

export { boundEffects, isEnforced, onlyReads, suggestAnswer, toolEffects } from './tool-effects.ts';

/** What a surface may be at most; `depth` counts objects and arrays inside one another. */
export const SURFACE_LIMITS = {
  bytes: 2 * 1024 * 1024,
  depth: 48,
  tools: 512,
  prompts: 512,
  resources: 4096,
  resourceTemplates: 512,
  /** Characters of the instructions, which a model reads at every start. */
  instructions: 64 * 1024,
} as const;

/** The parts of MCP annotations that say what a tool does to the world. All are hints of the author. */
const annotationsSchema = z.looseObject({
  title: z.string().optional(),
  readOnlyHint: z.boolean().optional(),
  destructiveHint: z.boolean().optional(),
  idempotentHint: z.boolean().optional(),
  openWorldHint: z.boolean().optional(),
});

const toolSchema = z.looseObject({
  name: toolNameSchema,
  title: z.string().optional(),
  description: z.string().optional(),
  inputSchema: z.looseObject({ type: z.literal('object') }),
  outputSchema: z.looseObject({}).optional(),
  annotations: annotationsSchema.optional(),
});

const identifier = z.string().min(1).max(2048);
const promptSchema = z.looseObject({ name: identifier });
const resourceSchema = z.looseObject({ uri: identifier, name: z.string() });
const templateSchema = z.looseObject({ uriTemplate: identifier, name: z.string() });

const shape = z.strictObject({
  instructions: z.string().max(SURFACE_LIMITS.instructions).optional(),
  tools: z.array(toolSchema).max(SURFACE_LIMITS.tools),
  prompts: z.array(promptSchema).max(SURFACE_LIMITS.prompts),
  resources: z.array(resourceSchema).max(SURFACE_LIMITS.resources),
  resourceTemplates: z.array(templateSchema).max(SURFACE_LIMITS.resourceTemplates),
  capabilities: z
    .object({
      completions: z.boolean().optional(),
      resourcesSubscribe: z.boolean().optional(),
      logging: z.boolean().optional(),
    })
    .catchall(z.boolean()),
  skill: z
    .strictObject({ frontmatter: z.record(z.string(), z.unknown()), digest: digestSchema })
    .optional()
    .describe('The head of SKILL.md, and the digest of the whole file.'),
});

/**
 * Everything a skill says to a model: MCP's own objects, kept as they are, and the head of SKILL.md.
 * Lists are sorted by what identifies their entries, so the order in which a server answers is no change.
 */
export type Surface = z.output<typeof shape>;

/**
 * A surface from outside: plain JSON within limits, no two entries of one name, sorted. Members that
 * are `undefined` are left out, as they would be on the wire.
 */
export const surfaceSchema = z.preprocess(
  (value, ctx) => {
    try {
      return plainJson(value, SURFACE_LIMITS.depth);
    } catch (error) {
      if (!(error instanceof NotPlain)) throw error;
      ctx.addIssue({
        code: 'custom',
        message: teach(error.message, 'Answer with plain JSON that is not so deep.'),
      });
      return z.NEVER;
    }
  },
  shape
    .superRefine((surface, ctx) => {
      for (const [list, name] of duplicates(surface)) {
        ctx.addIssue({
          code: 'custom',
          path: [list],
          message: teach(`names "${name}" twice`, 'Keep one of them.'),
        });
      }
      const bytes = Buffer.byteLength(JSON.stringify(surface));
      if (bytes <= SURFACE_LIMITS.bytes) return;
      ctx.addIssue({
        code: 'custom',
        message: teach(`is ${bytes} bytes long`, `Keep it within ${SURFACE_LIMITS.bytes} bytes.`),
      });
    })
    .overwrite(inOrder),
);

/**
 * Reads `surface.json` of a package.
 * @throws AppError `surface-invalid` with every fault in `data.faults`, each `{path, problem, remedy}`.
 */
export function parseSurface(input: Uint8Array | string): Surface {
  const json = readStrictJson(input, SURFACE_LIMITS);
  if (!json.ok) throw surfaceInvalid(json.faults);
  const parsed = surfaceSchema.safeParse(json.value);
  if (parsed.success) return parsed.data;
  throw surfaceInvalid(faultsOf(parsed.error, json.value, z.toJSONSchema(shape, { io: 'input' })));
}

function surfaceInvalid(faults: Fault[]): AppError {
  const [first] = faults;
  return new AppError('surface-invalid', {
    detail: `surface.json is no surface: ${[first?.path, first?.problem].filter(Boolean).join(' ')}.`,
    hint: 'Pack the skill again.',
    data: { faults: faults.slice(0, MAX_FAULTS) },
  });
}

class NotPlain extends Error {}

/** A copy that is JSON through and through, or a `NotPlain` that says why there is none. */
function plainJson(value: unknown, depthLeft: number): Json {
  if (value === null || typeof value === 'boolean') return value;
  if (typeof value === 'string') {
    if (/\p{Surrogate}/u.test(value)) throw new NotPlain('holds half a surrogate pair');
    return value;
  }
  if (typeof value === 'number' && Number.isFinite(value)) return value;
  if (typeof value !== 'object') throw new NotPlain(`holds a ${typeof value} that JSON cannot say`);
  if (depthLeft === 0) throw new NotPlain('is nested too deep');
  if (Array.isArray(value)) return value.map((entry) => plainJson(entry, depthLeft - 1));
  const members = Object.entries(value).filter(([, member]) => member !== undefined);
  if (members.some(([key]) => key === '__proto__' || /\p{Surrogate}/u.test(key))) {
    throw new NotPlain('has a member whose name is not allowed');
  }
  return Object.fromEntries(members.map(([key, member]) => [key, plainJson(member, depthLeft - 1)]));
}

/** The lists of a surface and what identifies an entry of each. */
const KEYS = {
  tools: ({ name }: Surface['tools'][number]) => name,
  prompts: ({ name }: Surface['prompts'][number]) => name,
  resources: ({ uri }: Surface['resources'][number]) => uri,
  resourceTemplates: ({ uriTemplate }: Surface['resourceTemplates'][number]) => uriTemplate,
};

function duplicates(surface: Surface): [list: string, name: string][] {
  return [
    ...repeated(surface.tools.map(KEYS.tools)).map((name) => ['tools', name] as [string, string]),
    ...repeated(surface.prompts.map(KEYS.prompts)).map((name) => ['prompts', name] as [string, string]),
    ...repeated(surface.resources.map(KEYS.resources)).map((uri) => ['resources', uri] as [string, string]),
    ...repeated(surface.resourceTemplates.map(KEYS.resourceTemplates)).map(
      (uri) => ['resourceTemplates', uri] as [string, string],
    ),
  ];
}

function repeated(names: readonly string[]): string[] {
  const seen = new Set<string>();
  return names.filter((name) => seen.size === seen.add(name).size);
}

function inOrder(surface: Surface): Surface {
  return {
    ...surface,
    tools: sortedBy(surface.tools, KEYS.tools),
    prompts: sortedBy(surface.prompts, KEYS.prompts),
    resources: sortedBy(surface.resources, KEYS.resources),
    resourceTemplates: sortedBy(surface.resourceTemplates, KEYS.resourceTemplates),
  };
}

/** By UTF-16 code units, like canonical JSON; a locale has no say in a digest. */
function sortedBy<T>(entries: readonly T[], keyOf: (entry: T) => string): T[] {
  return [...entries].sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : keyOf(a) > keyOf(b) ? 1 : 0));
}

/** The digest that is signed, approved and compared at every connect. */
export function surfaceDigest(surface: Surface): Digest {
  return digestOf(canonicalJson(inOrder(surface)));
}

/** One difference: where, and what stood and stands there. Absent means that it was not or is not there. */
export interface SurfaceChange {
  /** Such as `tools.read.description`. */
  path: string;
  before?: unknown;
  after?: unknown;
}

/**
 * What changed, at the deepest place that names it; entries of lists are known by name, not by
 * position. Empty exactly when the digests are equal.
 */
export function diffSurface(before: Surface, after: Surface): SurfaceChange[] {
  return changesBetween(byName(before), byName(after), []);
}

function byName(surface: Surface): Record<string, unknown> {
  return {
    ...surface,
    tools: keyed(surface.tools, KEYS.tools),
    prompts: keyed(surface.prompts, KEYS.prompts),
    resources: keyed(surface.resources, KEYS.resources),
    resourceTemplates: keyed(surface.resourceTemplates, KEYS.resourceTemplates),
  };
}

function keyed<T>(entries: readonly T[], keyOf: (entry: T) => string): Record<string, T> {
  return Object.fromEntries(entries.map((entry) => [keyOf(entry), entry]));
}

function changesBetween(before: unknown, after: unknown, at: readonly string[]): SurfaceChange[] {
  if (isObject(before) && isObject(after)) {
    const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort();
    return keys.flatMap((key) => changesBetween(memberOf(before, key), memberOf(after, key), [...at, key]));
  }
  if (before !== undefined && after !== undefined && canonicalJson(before) === canonicalJson(after))
    return [];
  return [
    {
      path: pathText(at),
      ...(before === undefined ? {} : { before }),
      ...(after === undefined ? {} : { after }),
    },
  ];
}

function memberOf(object: Record<string, unknown>, key: string): unknown {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
