import { z } from 'zod';
import { teach } from '../faults.ts';

/**
 * A key of a map that an author fills: of the given form, and no name that every JavaScript object
 * has. A lookup of `constructor` in a map that lacks it would otherwise find a function.
 */
export function mapKey(form: RegExp, lesson: string): z.ZodString {
  return z
    .string()
    .regex(form, lesson)
    .refine(
      (name) => !(name in Object.prototype),
      teach('is a name that JavaScript reserves', 'Choose another one.'),
    );
}
