import { readArchive } from '../protocol/archive.ts';
import { digestOf } from '../protocol/canonical.ts';
import { AppError } from '../protocol/errors.ts';
import type { Manifest } from '../protocol/manifest.ts';
import { readPackage, requireStatementOf } from '../protocol/package.ts';
import { purlOf, type Receipt, verifyBundle, verifyReceipt } from '../protocol/provenance.ts';
import { diffSurface, type Surface } from '../protocol/surface.ts';
import { resolveVersion } from '../protocol/version.ts';
import { refuseUnusableSchemas } from './arguments.ts';
import { type FileDigests, unpack } from './packages.ts';
import type { HubPaths } from './paths.ts';
import type { RegistryClient } from './registry-client.ts';

/** A version whose every claim was checked and whose package lies unpacked. */
export interface VerifiedVersion {
  name: string;
  version: string;
  digest: string;
  signer: string;
  manifest: Manifest;
  surface: Surface;
  files: FileDigests;
  bundle: unknown;
  receipt: Receipt;
  /** What was checked, as sentences for whoever decides. */
  verified: readonly string[];
}

export interface FetchParts {
  registry: RegistryClient;
  paths: HubPaths;
  /** Starts the unpacked package with no grants and scratch folders, and records what it says. */
  capture: (packageDir: string, manifest: Manifest, files: readonly string[]) => Promise<Surface>;
}

/**
 * Resolves a range, fetches the version and believes nothing: archive digest, author's signature, registry's
 * receipt, every file, and that the running skill says what was signed, unless it runs elsewhere.
 * @throws AppError with the code of the first check that fails; nothing of the version is installed then.
 */
export async function fetchVersion(
  parts: FetchParts,
  name: string,
  range: string,
  { captured }: { captured: boolean } = { captured: true },
): Promise<VerifiedVersion> {
  const offered = await parts.registry.resolve(name, range);
  const { version, digest } = offered;
  refuseOtherVersion(name, range, version);
  // First the receipt: its time says whether a key that is retired by now was good when it signed.
  const receipt = verifyReceipt(offered.receipt, await parts.registry.pinnedKey());
  const proof = verifyBundle(
    offered.bundle,
    { name, version, archiveDigest: digest, signedBefore: receipt.time },
    await parts.registry.keysFor(name),
  );
  refuseForeignReceipt(receipt, { name, version, digest, signer: proof.signer });

  const archive = await archiveBytes(parts.registry, digest);
  const found = await readPackage(chunksOf(archive));
  requireStatementOf(proof.statement, found);
  const { manifest, surface, files } = found;
  if (manifest.name !== name || manifest.version !== version) {
    throw new AppError('statement-mismatch', {
      detail: `The package calls itself ${manifest.name} ${manifest.version}, and was signed as ${name} ${version}.`,
      hint: 'Do not install it; tell its author.',
    });
  }
  const packageDir = await unpack(parts.paths, digest, readArchive(chunksOf(archive)), files);
  refuseUnusableSchemas(surface);
  // What runs elsewhere is asked for nothing before requests to it are granted; the first start compares.
  const heard = captured && manifest.runtime.kind !== 'remote';
  if (heard)
    refuseOtherSurface(await parts.capture(packageDir, manifest, Object.keys(files)), surface, manifest);

  return {
    name,
    version,
    digest,
    signer: proof.signer,
    manifest,
    surface,
    files,
    bundle: offered.bundle,
    receipt,
    verified: [
      `The package is the one that ${proof.signer} signed (${digest.slice(0, 19)}…).`,
      `The registry at ${parts.registry.url} has it in its log as entry ${receipt.logIndex}.`,
      ...(heard ? ['What it says to a model is what was signed.'] : []),
    ],
  };
}

/** Well signed is not enough: an old version with a known hole is that, too. */
function refuseOtherVersion(name: string, range: string, version: string): void {
  if (resolveVersion([{ version, yanked: false }], range) === version) return;
  throw new AppError('receipt-invalid', {
    detail: `The registry answered with ${version} where ${range} of ${name} was asked for.`,
    hint: 'Do not install from this registry before its admin has explained it.',
  });
}

function refuseForeignReceipt(
  receipt: Receipt,
  expected: { name: string; version: string; digest: string; signer: string },
): void {
  if (
    receipt.purl === purlOf(expected.name, expected.version) &&
    receipt.digest === expected.digest &&
    receipt.signer === expected.signer
  ) {
    return;
  }
  throw new AppError('receipt-invalid', {
    detail: `The receipt is for ${receipt.purl}, not for ${expected.name} ${expected.version} as signed.`,
    hint: 'Do not install from this registry before its admin has explained it.',
  });
}

async function archiveBytes(registry: RegistryClient, digest: string): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of registry.archive(digest)) chunks.push(chunk);
  const bytes = Buffer.concat(chunks);
  if (digestOf(bytes) === digest) return bytes;
  throw new AppError('digest-mismatch', {
    detail: `The registry sent ${digestOf(bytes)} instead of ${digest}.`,
    hint: 'Try again; if it happens twice, the registry’s storage is damaged.',
  });
}

function refuseOtherSurface(captured: Surface, signed: Surface, manifest: Manifest): void {
  const differences = diffSurface(signed, captured);
  if (differences.length === 0) return;
  throw new AppError('surface-mismatch', {
    detail: `Started here, ${manifest.name} says something else than its author signed: ${differences
      .slice(0, 5)
      .map((difference) => difference.path)
      .join(', ')}.`,
    hint: 'Do not install it; tell its author.',
    data: { differences: differences.slice(0, 20) },
  });
}

async function* chunksOf(bytes: Buffer): AsyncGenerator<Uint8Array> {
  const step = 64 * 1024;
  for (let at = 0; at < bytes.length; at += step) yield bytes.subarray(at, at + step);
}
