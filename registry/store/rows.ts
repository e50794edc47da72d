import { z } from 'zod';
import { digestSchema } from '../../protocol/canonical.ts';
import { frontierSchema } from '../../protocol/log.ts';
import { EFFECTS } from '../../protocol/manifest.ts';
import { permissionsSchema } from '../../protocol/permissions.ts';
import { receiptSchema } from '../../protocol/provenance.ts';

/** JSON text from the database, parsed and checked where it enters. */
const json = <Schema extends z.ZodType>(schema: Schema) =>
  z
    .string()
    .transform((text): unknown => JSON.parse(text))
    .pipe(schema);

const jsonObject = json(z.record(z.string(), z.json()));
const flag = z.union([z.literal(0), z.literal(1)]).transform((value) => value === 1);
const tools = json(
  z.array(
    z.object({
      name: z.string(),
      title: z.string().optional(),
      description: z.string().optional(),
      effects: z.array(z.enum(EFFECTS)),
    }),
  ),
);

/** A version's columns that lists need. */
export const summaryRow = z.object({
  version: z.string(),
  digest: digestSchema,
  size: z.number(),
  signer: z.string(),
  permissionsDigest: digestSchema,
  publishedAt: z.string(),
  yanked: flag,
  yankReason: z.string().nullable(),
  deprecated: z.string().nullable(),
  changedAt: z.string(),
});

/** A version's columns without its proofs. */
export const shownRow = summaryRow.extend({
  name: z.string(),
  kind: z.string(),
  manifest: jsonObject,
  tools,
  surfaceDigest: digestSchema,
  permissions: json(permissionsSchema),
});

/** All of a version's columns. */
export const versionRow = shownRow.extend({ bundle: jsonObject, receipt: json(receiptSchema) });

export const tokenRow = z.object({
  id: z.string(),
  name: z.string(),
  hash: z.instanceof(Buffer),
  admin: flag,
  namespaces: json(z.array(z.string())),
  createdAt: z.string(),
  expiresAt: z.string().nullable(),
  lastUsedAt: z.string().nullable(),
});

export const headRow = z.object({
  frontier: json(frontierSchema),
  rootHash: z.instanceof(Buffer),
  time: z.string(),
  signature: z.string(),
});
