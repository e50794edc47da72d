import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import { RE2JS } from 're2js';
import { AppError } from '../protocol/errors.ts';
import type { Surface } from '../protocol/surface.ts';
import type { InstalledSkill } from './installed.ts';

/** How many faults an answer lists. */
const MAX_FAULTS = 10;

/** Checks arguments against the schema that was approved, so that policy decides on what the tool will get. */
export interface ArgumentChecks {
  /** @throws AppError `arguments-invalid` with every fault in `data.faults`. */
  check(skill: InstalledSkill, tool: string, args: unknown): void;
}

/** Checks that compile each approved schema once, when it is first used. */
export function argumentChecks(): ArgumentChecks {
  const ajv = newAjv();
  const compiled = new Map<string, ValidateFunction>();
  return {
    check(skill, tool, args) {
      const key = `${skill.digest} ${tool}`;
      let validate = compiled.get(key);
      if (validate === undefined) {
        validate = ajv.compile(schemaOf(skill.surface, tool));
        compiled.set(key, validate);
      }
      if (validate(args)) return;
      const faults = (validate.errors ?? [])
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

/** @throws AppError `surface-mismatch` naming the tool whose schema cannot be used; called before anything is approved. */
export function refuseUnusableSchemas(surface: Surface): void {
  const ajv = newAjv();
  for (const tool of surface.tools) {
    try {
      ajv.compile(schemaOf(surface, tool.name));
    } catch (error) {
      throw new AppError('surface-mismatch', {
        detail: `The input schema of ${tool.name} cannot be used: ${error instanceof Error ? error.message : ''}`,
        hint: 'The author has to publish a version with a valid JSON Schema 2020-12 without external references.',
        cause: error,
      });
    }
  }
}

/** Schemas come from skills: no external references are loaded, and patterns run in linear time. */
function newAjv(): Ajv2020 {
  const linear = Object.assign((pattern: string) => linearPattern(pattern), { code: 'linear' });
  return new Ajv2020({
    strict: false,
    allErrors: false,
    validateFormats: false,
    addUsedSchema: false,
    code: { regExp: linear },
  });
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

function schemaOf(surface: Surface, tool: string): object {
  const schema = surface.tools.find((candidate) => candidate.name === tool)?.inputSchema;
  return typeof schema === 'object' && schema !== null ? schema : { type: 'object' };
}

function extraOf(params: Record<string, unknown>): string {
  const named = params['additionalProperty'] ?? params['allowedValues'];
  return named === undefined ? '' : `: ${JSON.stringify(named)}`;
}
