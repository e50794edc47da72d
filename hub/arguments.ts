import { setImmediate as nextTurn } from 'node:timers/promises';
import { Ajv, type SchemaObject } from 'ajv';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import { RE2JS } from 're2js';
import { AppError } from '../protocol/errors.ts';
import type { Surface } from '../protocol/surface.ts';
import type { InstalledSkill } from './installed.ts';
import { TookTooLong, timeLimit } from './time-limit.ts';

/** How many faults an answer lists. */
const MAX_FAULTS = 10;
/** Of what a fault says beside its own words, such as the values that are allowed. */
const MAX_EXTRA_CHARS = 300;
/** For checking one call; and for compiling every schema of a skill. Honest ones take a millisecond each. */
const MAX_CHECK_MS = 500;
const MAX_COMPILE_MS = 3_000;
/** A time limit costs half a millisecond, so what cannot take long is checked without one. */
const UNLIMITED_STEPS = 50_000_000;
/** Keywords with which the work is not bounded by the sizes of schema and arguments. */
const UNBOUNDED = new Set(['$ref', '$dynamicRef', '$recursiveRef', 'uniqueItems']);

/** Checks arguments against the schema that was approved, so that policy decides on what the tool will get. */
export interface ArgumentChecks {
  /** @throws AppError `arguments-invalid` with every fault in `data.faults`. */
  check(skill: InstalledSkill, tool: string, args: unknown): void;
  /**
   * Compiles the schemas of a skill that was just approved, so that its first call does not wait for it: one in each
   * turn of the event loop, for each takes some milliseconds. Resolves when all are.
   */
  prepare(skill: InstalledSkill): Promise<void>;
}

/** Checks that compile each approved schema once: when it is prepared, or first used after a start. */
export function argumentChecks(): ArgumentChecks {
  const within = timeLimit();
  const compiled = new Map<string, Map<string, Compiled>>();

  function compiledFor({ digest, surface }: InstalledSkill, tool: string): Compiled {
    let ofSkill = compiled.get(digest);
    if (ofSkill === undefined) compiled.set(digest, (ofSkill = new Map()));
    const known = ofSkill.get(tool);
    if (known !== undefined) return known;
    const schema = schemaOf(surface, tool);
    const fresh = { validate: within(MAX_CHECK_MS, () => compile(schema)), size: boundedSize(schema) };
    ofSkill.set(tool, fresh);
    return fresh;
  }

  return {
    async prepare(skill) {
      for (const { name } of skill.surface.tools) {
        await nextTurn();
        try {
          compiledFor(skill, name);
        } catch {
          // It was usable when it was approved; a call says what is wrong with it now.
        }
      }
    },

    check(skill, tool, args) {
      let validate: ValidateFunction | undefined;
      try {
        const found = compiledFor(skill, tool);
        validate = found.validate;
        const isShort = found.size * JSON.stringify(args).length <= UNLIMITED_STEPS;
        if (isShort ? found.validate(args) : within(MAX_CHECK_MS, () => found.validate(args))) return;
      } catch (error) {
        // A schema can also send its check round in circles, until the stack ends it.
        if (!(error instanceof TookTooLong || error instanceof RangeError)) throw error;
        throw new AppError('arguments-invalid', {
          detail: `${tool}: these arguments take too long to check.`,
          hint: 'Call again with less at once.',
          cause: error,
        });
      }
      const faults = (validate?.errors ?? [])
        .slice(0, MAX_FAULTS)
        .map(({ instancePath, message, params }) => ({
          path: instancePath === '' ? '(arguments)' : instancePath,
          problem: `${message ?? 'is not valid'}${extraOf(params)}`,
        }));
      throw new AppError('arguments-invalid', {
        detail: `${tool}: ${faults.map((fault) => `${fault.path} ${fault.problem}`).join('; ')}`,
        hint: 'Call again with arguments that fit the input schema of the tool.',
        data: { faults },
      });
    },
  };
}

interface Compiled {
  validate: ValidateFunction;
  /** Characters of the schema; infinite where its checks are not bounded by that. */
  size: number;
}

function boundedSize(schema: SchemaObject): number {
  let bounded = true;
  const text = JSON.stringify(schema, (key, value: unknown) => {
    if (UNBOUNDED.has(key)) bounded = false;
    return value;
  });
  return bounded ? text.length : Number.POSITIVE_INFINITY;
}

/** @throws AppError `surface-mismatch` naming the tool whose schema cannot be used; called before anything is approved. */
export function refuseUnusableSchemas(surface: Surface): void {
  let tool = '';
  try {
    timeLimit()(MAX_COMPILE_MS, () => {
      for (const { name } of surface.tools) {
        tool = name;
        compile(schemaOf(surface, name));
      }
    });
  } catch (error) {
    throw new AppError('surface-mismatch', {
      detail: `The input schema of ${tool} cannot be used: ${error instanceof Error ? error.message : ''}`,
      hint: 'The author has to publish a version with a valid JSON Schema 2020-12 without external references.',
      cause: error,
    });
  }
}

/** The dialect that most servers of today list; without `$schema`, MCP means 2020-12. */
const DRAFT_07 = 'http://json-schema.org/draft-07/schema';

/**
 * Schemas come from skills: each has a compiler of its own, so that none meets the `$id` of another; no external
 * references are loaded, references are not copied in, and patterns run in linear time.
 */
function compile(schema: SchemaObject): ValidateFunction {
  const linear = Object.assign((pattern: string) => linearPattern(pattern), { code: 'linear' });
  const options = {
    strict: false,
    allErrors: false,
    meta: false,
    validateSchema: false,
    validateFormats: false,
    addUsedSchema: false,
    inlineRefs: false,
    code: { regExp: linear },
  };
  const isDraft07 = typeof schema.$schema === 'string' && schema.$schema.startsWith(DRAFT_07);
  return (isDraft07 ? new Ajv(options) : new Ajv2020(options)).compile(schema);
}

/** A pattern that RE2 cannot express (look-around, back-references) is left to the skill itself. */
function linearPattern(pattern: string): { test(text: string): boolean; toString(): string } {
  // Ajv tells patterns apart by their text.
  const toString = () => pattern;
  try {
    const compiled = RE2JS.compile(pattern);
    return { test: (text) => compiled.matcher(text).find(), toString };
  } catch {
    return { test: () => true, toString };
  }
}

function schemaOf(surface: Surface, tool: string): SchemaObject {
  const schema = surface.tools.find((candidate) => candidate.name === tool)?.inputSchema;
  return typeof schema === 'object' && schema !== null ? schema : { type: 'object' };
}

function extraOf(params: Record<string, unknown>): string {
  const named = params['additionalProperty'] ?? params['allowedValues'];
  return named === undefined ? '' : `: ${JSON.stringify(named).slice(0, MAX_EXTRA_CHARS)}`;
}
