import { z } from 'zod';
import { digestSchema, type Digest } from '../canonical.ts';
import { hexSchema } from './fields.ts';

/** in-toto Statement v1. */
export const STATEMENT_TYPE = 'https://in-toto.io/Statement/v1';
/** What a Berth signature says of its subject. */
export const PREDICATE_TYPE = 'https://berth.dev/attestations/publish/v1';
/** The DSSE payload type of an in-toto statement. */
export const PAYLOAD_TYPE = 'application/vnd.in-toto+json';

/** The package URL of a version: `pkg:berth/<namespace>/<name>@<version>`. */
export function purlOf(name: string, version: string): string {
  return `pkg:berth/${name.split('/').map(percentEncoded).join('/')}@${percentEncoded(version)}`;
}

// The purl specification leaves only these unencoded; `+` in a version becomes %2B.
function percentEncoded(text: string): string {
  return encodeURIComponent(text).replaceAll(
    /[!'()*]/g,
    (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

/** What an author signs about one version. */
export const statementSchema = z.strictObject({
  _type: z.literal(STATEMENT_TYPE),
  subject: z
    .array(z.strictObject({ name: z.string().max(1024), digest: z.strictObject({ sha256: hexSchema }) }))
    .length(1, 'must be exactly one subject'),
  predicateType: z.literal(PREDICATE_TYPE),
  predicate: z.strictObject({
    /** Of the canonical JSON of `skill.json`. */
    manifestDigest: digestSchema,
    permissionsDigest: digestSchema,
    surfaceDigest: digestSchema,
    /** sha256 by path, of every file in the archive. */
    files: z
      .record(z.string().min(1).max(240), hexSchema)
      .refine((files) => Object.keys(files).length <= 10_000, 'must be at most 10,000 files'),
  }),
});

/** An in-toto statement about one version. */
export type Statement = z.infer<typeof statementSchema>;

/** The statement that an author signs. Digests come from the caller, who has the bytes. */
export function statementOf(version: {
  name: string;
  version: string;
  archiveDigest: Digest;
  /** Of the canonical JSON of `skill.json`. */
  manifestDigest: Digest;
  permissionsDigest: Digest;
  surfaceDigest: Digest;
  /** sha256 in hexadecimal by path. */
  files: Record<string, string>;
}): Statement {
  return {
    _type: STATEMENT_TYPE,
    subject: [
      { name: purlOf(version.name, version.version), digest: { sha256: hexOf(version.archiveDigest) } },
    ],
    predicateType: PREDICATE_TYPE,
    predicate: {
      manifestDigest: version.manifestDigest,
      permissionsDigest: version.permissionsDigest,
      surfaceDigest: version.surfaceDigest,
      files: version.files,
    },
  };
}

/** The hexadecimal digits of a digest. */
export function hexOf(digest: Digest): string {
  return digest.slice('sha256:'.length);
}
