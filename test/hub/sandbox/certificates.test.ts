import { once } from 'node:events';
import { chmod, mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createBwrapDriver } from '../../../hub/sandbox/bwrap.ts';
import { mergeCertificates, readCertificates } from '../../../hub/sandbox/certificates.ts';
import type { SandboxPlan } from '../../../hub/sandbox/sandbox.ts';
import { outcomeOf } from '../../attacks/sandbox/outcome.ts';
import { expectCode } from '../../support/expect-code.ts';
import { logLines } from '../../support/log-lines.ts';
import { watchedEgress } from '../../support/watched-egress.ts';
import { tempFolder } from '../../support/temp-folder.ts';
import { privateInternet } from '../../support/tls.ts';
import { verifies } from '../../support/verifies.ts';

const { PATH: SEARCH_PATH = '' } = process.env; // oxlint-disable-line node/no-process-env

const NODE = `
import childProcess from 'node:child_process';
const url = process.argv[2];
const fetched = await fetch(url).then((answer) => answer.text(), (error) => error.cause.code);
childProcess.execFile('curl', ['--silent', '--show-error', url], (error, stdout, stderr) =>
  process.stdout.write(JSON.stringify([fetched, stdout || stderr.slice(0, 10)]), () => process.exit(0)));
`;
const PYTHON = `
import sys, urllib.request
try: print(urllib.request.urlopen(sys.argv[1]).read().decode(), end='')
except OSError as e: print(type(e.reason).__name__, end='')
`;

describe('certificates of a company', () => {
  it(
    'are trusted by Node, Python and curl in a sandbox, and by none of them without',
    { ...verifies('sandbox.certificates'), timeout: 60_000 },
    async () => {
      const { cert, http } = await privateInternet();
      const server = http().on('request', (_request, response) => response.end('far'));
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      onTestFinished(() => void server.close());
      const { port } = server.address() as AddressInfo;
      const home = await tempFolder();
      const packageDir = join(home, 'package');
      await mkdir(packageDir);
      await writeFile(join(packageDir, 'index.mjs'), NODE);
      await writeFile(join(packageDir, 'main.py'), PYTHON);
      await chmod(packageDir, 0o755);
      const said = async (certificates: string | undefined, runtime: SandboxPlan['runtime']) => {
        const driver = createBwrapDriver({
          path: SEARCH_PATH,
          stateDir: join(home, 'sandbox'),
          forbidden: [home],
          log: logLines().log,
          egress: watchedEgress(),
          ...(certificates === undefined ? {} : { certificates }),
        });
        const { stdout, stderr } = await outcomeOf(driver, {
          label: 'org.example/tls@1.0.0',
          packageDir,
          runtime,
          mounts: [],
          scratch: [],
          env: {},
          programs: ['curl'],
          network: [{ host: 'tools.example', port, protocol: 'tls', address: '127.0.0.1' }],
          holder: { skill: 'org.example/tls', user: 'ann', background: true },
          limits: { memoryMb: 256, cpus: 1, pids: 48, diskMb: 8 },
        });
        expect(stderr).toBe('');
        return stdout.toString();
      };
      const args = [`https://tools.example:${port}/`];
      const node = { kind: 'node', entry: 'index.mjs', args } as const;
      const python = { kind: 'python', entry: 'main.py', args } as const;
      expect(JSON.parse(await said(cert, node))).toEqual(['far', 'far']);
      expect(await said(cert, python)).toBe('far');
      expect(JSON.parse(await said(undefined, node))).toEqual(['DEPTH_ZERO_SELF_SIGNED_CERT', 'curl: (60)']);
      expect(await said(undefined, python)).toBe('SSLCertVerificationError');
    },
  );

  it('stand behind those of the machine', verifies('sandbox.certificates'), async () => {
    const folder = await tempFolder();
    const { bundle, own } = await mergeCertificates(folder, 'the own\n');
    const text = await readFile(bundle, 'utf8');
    expect(text).toMatch(/-----END CERTIFICATE-----\nthe own\n$/);
    expect(own).toBe('the own\n');
    expect((await stat(bundle)).mode & 0o777).toBe(0o644);
  });

  it('are read from their file, and only they', verifies('sandbox.certificates'), async () => {
    const { cert } = await privateInternet();
    const path = join(await tempFolder(), 'ca.pem');
    await writeFile(path, `# our own\n${cert}\n# and again\n${cert}`);
    expect(await readCertificates(path)).toBe(`${cert.trim()}\n${cert.trim()}\n`);
  });

  it('stop the start where the file is no list of them', verifies('sandbox.certificates'), async () => {
    const { cert, key } = await privateInternet();
    const folder = await tempFolder();
    const path = join(folder, 'ca.pem');
    const refused = async (text: string, words: RegExp) => {
      await writeFile(path, text);
      const error = await expectCode(readCertificates(path), 'config-invalid');
      expect(error.message).toMatch(words);
      expect(error.message).toContain(path);
      expect(error.hint).toContain('BERTH_HUB_SANDBOX_CA');
    };
    await refused('', /not a list/);
    await refused('what is this', /not a list/);
    await refused(cert.slice(0, -40), /not a list/);
    await refused(`${cert}${cert.replace(/[A-Za-z0-9+/]{64}\n/, '')}`, /broken certificate, number 2/);
    await refused(`${cert}${key}`, /private key/);
    await refused('x'.repeat(1024 * 1024 + 1), /larger/);
    await expectCode(readCertificates(join(folder, 'missing.pem')), 'config-invalid');
    await expectCode(readCertificates(folder), 'config-invalid');
    await expectCode(readCertificates('ca.pem'), 'config-invalid');
  });
});
