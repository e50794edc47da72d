import { X509Certificate } from 'node:crypto';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { rootCertificates } from 'node:tls';
import { AppError } from '../../protocol/errors.ts';

/** Where programs that speak TLS look for the certificates that they trust, by distribution. */
export const CERTIFICATE_FILES = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/cert.pem',
];

/** Those that a company trusts beside the public ones. */
export interface OwnCertificates {
  /** PEM, these alone. */
  own: string;
  /** Path of a file that holds them after those of the machine; anybody may read it. */
  bundle: string;
}

const MAX_CERTIFICATE_BYTES = 1024 * 1024;
const BLOCK = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g;

/**
 * The certificates of a PEM file that an admin named in the configuration, and nothing else that stands in it.
 * @throws AppError `config-invalid` naming the file, what is wrong, and the remedy.
 */
export async function readCertificates(path: string): Promise<string> {
  if (!isAbsolute(path)) throw broken(path, 'is not an absolute path');
  const text = await readFile(path, 'latin1').catch((error: NodeJS.ErrnoException) => {
    throw broken(path, `cannot be read (${error.code ?? error.message})`, error);
  });
  if (text.length > MAX_CERTIFICATE_BYTES)
    throw broken(path, `is larger than ${MAX_CERTIFICATE_BYTES} bytes`);
  if (text.includes('PRIVATE KEY-----')) throw broken(path, 'holds a private key, which no sandbox must see');
  const begun = text.split('-----BEGIN').length - 1;
  const blocks = text.match(BLOCK) ?? [];
  if (blocks.length === 0 || blocks.length !== begun) throw broken(path, 'is not a list of PEM certificates');
  for (const [index, block] of blocks.entries()) {
    try {
      void new X509Certificate(block).fingerprint256;
    } catch (error) {
      throw broken(path, `holds a broken certificate, number ${index + 1}`, error);
    }
  }
  return `${blocks.join('\n')}\n`;
}

/** Writes the bundle that sandboxes see in the place of the machine's own. */
export async function mergeCertificates(stateDir: string, own: string): Promise<OwnCertificates> {
  const bundle = join(stateDir, 'ca-certificates.crt');
  const fresh = `${bundle}.new`;
  await writeFile(fresh, `${(await systemCertificates()).trimEnd()}\n${own}`, { mode: 0o644 });
  await rename(fresh, bundle);
  return { own, bundle };
}

async function systemCertificates(): Promise<string> {
  for (const path of CERTIFICATE_FILES) {
    const text = await readFile(path, 'utf8').catch(() => '');
    if (text.trim() !== '') return text;
  }
  return rootCertificates.join('\n');
}

function broken(path: string, problem: string, cause?: unknown): AppError {
  return new AppError('config-invalid', {
    detail: `sandboxCa names ${path}, which ${problem}.`,
    hint: 'Name a PEM file of CA certificates with BERTH_HUB_SANDBOX_CA or sandboxCa in hub.json, or leave it out.',
    cause,
  });
}
