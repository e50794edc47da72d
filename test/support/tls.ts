import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:https';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Outside } from '../../hub/remote/guarded-fetch.ts';
import { tempFolder } from './temp-folder.ts';

const run = promisify(execFile);
const HOSTS = ['tools.example', 'id.example', 'other.example', 'example.test', 'docs.example.test'];

/**
 * An internet of its own on loopback: names under `.example` and `.test` lead to this machine, and a fresh certificate that is
 * trusted by nobody else makes them theirs. Its key lies in a folder of the test, or in the one that is given.
 */
export async function privateInternet(given?: string) {
  const folder = given ?? (await tempFolder());
  const [keyFile, certFile] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  const names = HOSTS.map((host) => `DNS:${host}`).join(',');
  const request = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  const subject = ['-subj', '/CN=private internet', '-addext', `subjectAltName=${names}`, '-days', '2'];
  await run('openssl', [...request, ...subject, '-keyout', keyFile, '-out', certFile]);
  const [key, cert] = await Promise.all([readFile(keyFile, 'utf8'), readFile(certFile, 'utf8')]);
  const outside: Outside = {
    resolve: async () => [{ address: '127.0.0.1', family: 4 }],
    permits: (address) => address === '127.0.0.1',
    ca: cert,
  };
  return { key, cert, outside, http: () => createServer({ key, cert }) };
}
