import { writeArchive, type ArchiveFile } from '../../protocol/archive.ts';
import { canonicalJson, digestOf, sha256, type Digest } from '../../protocol/canonical.ts';
import { parseManifest, type Manifest } from '../../protocol/manifest.ts';
import { createKey, type SigningKey } from '../../protocol/node/keys.ts';
import { normalise, permissionsDigest } from '../../protocol/permissions.ts';
import { signStatement, statementOf, type SignedBundle, type Statement } from '../../protocol/provenance.ts';
import { surfaceDigest, surfaceSchema, type Surface } from '../../protocol/surface.ts';

/** A skill package as `berth pack` and `berth sign` would make it, in memory. */
export interface SkillPackage {
  manifest: Manifest;
  surface: Surface;
  files: ArchiveFile[];
  archive: Buffer;
  digest: Digest;
  key: SigningKey;
  statement: Statement;
  bundle: SignedBundle;
}

export interface SkillPackageOptions {
  name?: string;
  version?: string;
  /** Fields of `skill.json` that differ from a minimal node skill's. */
  manifest?: Record<string, unknown>;
  surface?: Partial<Surface>;
  /** Further files by path, or other contents of `server/index.js`. */
  files?: Record<string, string | Uint8Array>;
  /** Ed25519 unless given. */
  key?: SigningKey;
  /** Changes the statement before it is signed. */
  state?: (statement: Statement) => Statement;
}

const NO_SURFACE: Surface = {
  tools: [],
  prompts: [],
  resources: [],
  resourceTemplates: [],
  capabilities: {},
};

/** Builds, packs and signs a package; without options a node skill `local.me/hello` 1.0.0 with one reading tool. */
export async function skillPackage(options: SkillPackageOptions = {}): Promise<SkillPackage> {
  const {
    name = 'local.me/hello',
    version = '1.0.0',
    key = createKey(),
    state = (statement) => statement,
  } = options;
  const manifestJson = {
    name,
    version,
    title: 'Hello',
    description: 'Says hello.',
    license: 'Apache-2.0',
    runtime: { kind: 'node', entry: 'server/index.js', protocol: '2026-07-28' },
    ...options.manifest,
  };
  const surface = surfaceSchema.parse({ ...NO_SURFACE, ...(options.surface ?? { tools: [greetTool()] }) });
  const contents: Record<string, string | Uint8Array> = {
    'skill.json': JSON.stringify(manifestJson, undefined, 2),
    'surface.json': canonicalJson(surface),
    'server/index.js': "console.error('hello');\n",
    ...options.files,
  };
  const files = Object.entries(contents).map(([path, bytes]): ArchiveFile => ({
    path,
    mode: 0o644,
    bytes: Buffer.from(bytes),
  }));
  const archive = writeArchive(files);
  const digest = digestOf(archive);
  const manifest = parseManifest(JSON.stringify(manifestJson));
  const statement = state(
    statementOf({
      name,
      version,
      archiveDigest: digest,
      manifestDigest: digestOf(Buffer.from(contents['skill.json'] ?? '')),
      permissionsDigest: permissionsDigest(normalise(manifest.permissions)),
      surfaceDigest: surfaceDigest(surface),
      files: Object.fromEntries(files.map(({ path, bytes }) => [path, sha256(bytes).toString('hex')])),
    }),
  );
  const bundle = await signStatement(statement, key.privateKey);
  return { manifest, surface, files, archive, digest, key, statement, bundle };
}

/** A tool that only reads and accepts `{}`. */
export function greetTool(name = 'greet'): Surface['tools'][number] {
  return {
    name,
    description: `The tool ${name} says hello.`,
    inputSchema: { type: 'object' },
    annotations: { readOnlyHint: true },
  };
}
