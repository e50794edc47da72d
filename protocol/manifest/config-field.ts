import { z } from 'zod';
import { teach } from '../faults.ts';
import { lineSchema } from '../permissions/declared.ts';
import { mapKey } from './map-key.ts';

const configText = z
  .string()
  .max(1024)
  .refine((text) => !text.includes('\0'), teach('holds a NUL character', 'Remove it.'));
const configValue = z.union([configText, z.number(), z.boolean()], {
  error: teach('is not a string, a number or a boolean', 'Write one of these.'),
});

const configFieldSchema = z
  .strictObject({
    type: z.enum(['string', 'number', 'boolean', 'directory']),
    title: lineSchema(100),
    description: lineSchema(300).optional(),
    default: configValue.optional().describe('Without one the admin must give a value.'),
    enum: z.array(configValue).min(1).max(64).optional(),
  })
  .superRefine((field, ctx) => {
    if (field.type === 'directory') {
      for (const key of ['default', 'enum'] as const) {
        if (field[key] === undefined) continue;
        ctx.addIssue({
          code: 'custom',
          path: [key],
          message: teach('names a folder for somebody else', 'Remove it; the admin names the folder.'),
        });
      }
      return;
    }
    const mismatch = (path: PropertyKey[]) =>
      ctx.addIssue({
        code: 'custom',
        path,
        message: teach(`is not a ${field.type}`, `Write a ${field.type}.`),
      });
    if (field.default !== undefined && typeof field.default !== field.type) mismatch(['default']);
    field.enum?.forEach((value, index) => {
      if (typeof value !== field.type) mismatch(['enum', index]);
      if (field.enum?.indexOf(value) !== index) {
        ctx.addIssue({
          code: 'custom',
          path: ['enum', index],
          message: teach('is there twice', 'Remove it.'),
        });
      }
    });
    if (field.default !== undefined && field.enum?.includes(field.default) === false) {
      ctx.addIssue({
        code: 'custom',
        path: ['default'],
        message: teach('is not one of the values in enum', 'Choose one of them.'),
      });
    }
  });

/** One setting that an admin fills in at install. */
export type ConfigField = z.output<typeof configFieldSchema>;

const configKeySchema = mapKey(
  /^[A-Za-z][A-Za-z0-9_]{0,63}$/,
  teach('is not a config key', 'Use a letter, then letters, digits and "_".'),
);

/** The settings of a skill by key; the skill reads them as `BERTH_CONFIG_<KEY>`. */
export const configSchema = z.record(configKeySchema, configFieldSchema);
