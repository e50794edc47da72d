import { type Package, requireStatementOf } from '../protocol/package.ts';
import type { Digest } from '../protocol/canonical.ts';
import { AppError } from '../protocol/errors.ts';
import { publishEntry } from '../protocol/log.ts';
import { splitName } from '../protocol/manifest.ts';
import { bundleSchema, purlOf, verifyBundle, type Receipt } from '../protocol/provenance.ts';
import { boundEffects, toolEffects } from '../protocol/surface.ts';
import type { Blobs } from './blobs/blobs.ts';
import { showLatest } from './latest.ts';
import { appendEntry } from './log/log.ts';
import { claimNamespace, keysFor, requirePublisher, type Caller } from './names.ts';
import { readStoredPackage } from './stored-package.ts';
import type { RegistrySigner } from './signing/signing.ts';
import type { Change, JsonObject, Store, ToolSummary, VersionRecord } from './store/store.ts';

export interface PublishDeps {
  store: Pick<Store, 'keysOf' | 'change'>;
  blobs: Blobs;
  signer: RegistrySigner;
  clock: () => Date;
}

export interface Published {
  name: string;
  version: string;
  digest: Digest;
  receipt: Receipt;
}

/**
 * Publishes an archive that was uploaded before. The bytes are on disk by then, so a crash at any
 * point leaves an orphan archive at worst, never a version without one. The same archive under the
 * same version again answers the first receipt; another archive is `version-exists`.
 */
export async function publish(
  { store, blobs, signer, clock }: PublishDeps,
  caller: Caller,
  { archive, bundle }: { archive: Digest; bundle: JsonObject },
): Promise<Published> {
  const found = await readStoredPackage({ blobs }, archive);
  const { name, version } = found.manifest;
  const { namespace } = splitName(name);
  requirePublisher(caller, namespace);
  const verified = verifyBundle(
    bundle,
    { name, version, archiveDigest: archive },
    await keysFor(store, namespace),
  );
  requireStatementOf(verified.statement, found);
  const time = clock().toISOString();

  const receipt = await store.change(async (change) => {
    const known = await change.version(name, version);
    if (known !== undefined) return firstReceipt(known, archive);
    const key = await activeKey(change, namespace, verified.keyId);
    await claimNamespace({ signer }, change, caller, { namespace, time, signer: verified.signer });
    const entry = publishEntry(bundleSchema.parse(bundle), key);
    const position = await appendEntry({ signer }, change, { kind: 'publish', entry, time });
    const purl = purlOf(name, version);
    const issued = signer.receipt({ purl, digest: archive, signer: verified.signer, ...position, time });
    await change.addVersion({
      name,
      version,
      digest: archive,
      size: found.size,
      kind: found.manifest.runtime.kind,
      manifest: found.manifestJson,
      tools: toolSummaries(found),
      surfaceDigest: found.surfaceDigest,
      permissions: found.permissions,
      permissionsDigest: found.permissionsDigest,
      signer: verified.signer,
      bundle,
      receipt: issued,
      publishedAt: time,
      publishedBy: caller.tokenId,
    });
    await showLatest(change, name, time);
    await change.audit({ time, byToken: caller.tokenId, action: 'publish', subject: purl });
    return issued;
  });
  return { name, version, digest: archive, receipt };
}

function firstReceipt(known: VersionRecord, archive: Digest): Receipt {
  if (known.digest === archive) return known.receipt;
  throw new AppError('version-exists', {
    detail: `${known.name}@${known.version} was published with the digest ${known.digest}; this archive has ${archive}.`,
    hint: 'Publish it under a new version number.',
  });
}

/** The key once more, inside the change: it may have been retired since the signature was checked. */
async function activeKey(change: Change, namespace: string, keyId: string) {
  const key = (await keysFor(change, namespace)).find((record) => record.keyId === keyId);
  if (key !== undefined && key.retiredAt === undefined) return key;
  throw new AppError('key-retired', { detail: `The key ${keyId} has just been retired for ${namespace}.` });
}

const DESCRIPTION_MAX_CHARS = 500;

function toolSummaries({ surface, manifest, permissions }: Package): ToolSummary[] {
  return surface.tools.map((tool) => ({
    name: tool.name,
    title: tool.title,
    description: tool.description?.slice(0, DESCRIPTION_MAX_CHARS),
    effects: boundEffects(toolEffects(tool, manifest), permissions),
  }));
}
