import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Berth, newHome, removeHome, startBerth } from '../support/berth.ts';
import { pdfOf } from '../support/pdf.ts';
import { privateInternet } from '../support/tls.ts';
import { verifies } from '../support/verifies.ts';

const MB = 1024 * 1024;
const WEB = 'dev.berth/web';

interface Page {
  type?: string;
  body?: string | Buffer;
  /** Where it redirects to, instead. */
  to?: string;
}

/** A site behind `example.test` and `docs.example.test` on loopback, with certificates of an authority of the test. */
async function site(folder: string, pages: ReadonlyMap<string, Page>) {
  const { cert, http } = await privateInternet(folder);
  const asked: string[] = [];
  const server = http();
  server.on('request', ({ headers: { host = '' }, url }, response: ServerResponse) => {
    asked.push(`${host.split(':')[0]}${url}`);
    const page = pages.get(url ?? '');
    if (page === undefined) return void response.writeHead(404).end();
    if (page.to !== undefined) return void response.writeHead(302, { location: page.to }).end();
    response.writeHead(200, { 'content-type': page.type ?? 'text/html' });
    if (page.body === undefined) {
      // As much as it ever says.
      response.write('<p>begun');
      server.emit('begun', response.socket);
    } else response.end(page.body);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    cert,
    asked,
    server,
    port,
    url: (path: string, host = 'example.test') => `https://${host}:${port}${path}`,
  };
}

describe('the web skill of a running Berth', () => {
  let home: string;
  let up: Berth;
  let here: Awaited<ReturnType<typeof site>>;
  const pages = new Map<string, Page>();

  beforeAll(async () => {
    home = await newHome();
    here = await site(home, pages);
    const [ca, hosts] = [join(home, 'company-ca.pem'), join(home, 'hosts')];
    await writeFile(ca, here.cert);
    // What the hub's machine says of these names; where nobody named an address, that is where they lead.
    await writeFile(hosts, '127.0.0.1 localhost example.test docs.example.test other.test\n');
    up = await startBerth(home, { env: { BERTH_HUB_SANDBOX_CA: ca }, hosts });
  });
  afterAll(async () => {
    await up.stop();
    here.server.closeAllConnections();
    await new Promise((resolve) => here.server.close(resolve));
    await removeHome(home);
  });

  const sentences = async () =>
    ((await up.ok('audit', 'ls', '--skill', WEB)) as unknown as { sentence: string }[]).map(
      ({ sentence }) => sentence,
    );
  const fetched = async (url: string) =>
    (await up.ok('call', 'web', 'fetch', JSON.stringify({ url })))['structuredContent'] as Record<
      string,
      unknown
    >;
  const refused = async (url: string): Promise<string> => {
    const { code, json } = await up.run('call', 'web', 'fetch', JSON.stringify({ url }));
    expect([code, json.error['code']]).toEqual([1, 'skill-error']);
    return JSON.stringify(json.error['result']);
  };

  it(
    'does not reach an address of this machine that nobody named, and says so in the answer and the audit log',
    verifies('skills.web-installed', 'egress.addresses', 'egress.audit'),
    async () => {
      await up.ok('install', WEB, '--yes', '--allow-host', `example.test:${here.port}`);
      const why = await refused(here.url('/page'));
      expect(why).toContain(`example.test:${here.port} could not be read: the connection was broken off`);
      expect(why).toContain('the sandbox, which lets this skill reach no private address');
      expect(await sentences()).toContain(
        `${WEB} tried to reach example.test (port ${here.port}, at 127.0.0.1) for owner and was refused: that is an address of this machine`,
      );
      expect(here.asked).toEqual([]);
      await up.ok('remove', WEB);
    },
  );

  it(
    'fetches pages of a host at the address that was named, under the certificate of the admin',
    verifies('skills.web-installed', 'install.allowed-hosts', 'sandbox.certificates', 'cli.first-party'),
    async () => {
      const host = (name: string) => ['--allow-host', `${name}:${here.port}=127.0.0.1`];
      await up.ok('install', WEB, '--yes', ...host('example.test'), ...host('docs.example.test'));
      pages.set('/page', { body: '<h1>Ferries</h1><p>See <a href="/times">the <em>times</em></a>.</p>' });
      expect(await fetched(here.url('/page'))).toMatchObject({
        untrusted: true,
        markdown: `# Ferries\n\nSee [the *times*](${here.url('/times')}).`,
      });
      expect(await sentences()).toContain(
        `${WEB} reached example.test (port ${here.port}, at 127.0.0.1) for owner`,
      );
    },
  );

  it('reads what browsers are sent: a large page, and a PDF', verifies('skills.web-installed'), async () => {
    const paragraph = `<p>${'The ferry leaves at half past seven, and it comes back in the evening. '.repeat(12)}</p>`;
    const chapter = `<h2>Times</h2><div class="${'x'.repeat(2000)}">${paragraph.repeat(4)}</div>`;
    const script = `<script>${'var a = 1;'.repeat(30_000)}</script>`;
    const body = `<!doctype html><title>All ferries</title>${script}<article><h1>Ferries</h1>${chapter.repeat(60)}<p>The end.</p></article>`;
    expect(body.length).toBeGreaterThan(MB / 2);
    pages.set('/large', { body });
    const { kind, title, markdown, totalChars, nextStart } = await fetched(here.url('/large'));
    expect({ kind, title }).toEqual({ kind: 'article', title: 'All ferries' });
    expect(markdown).toContain('## Times\n\nThe ferry leaves at half past seven');
    expect(totalChars).toBeGreaterThan(200_000);
    const last = { url: here.url('/large'), start: Number(totalChars) - 40 };
    expect(JSON.stringify(await up.ok('call', 'web', 'fetch', JSON.stringify(last)))).toContain('The end.');
    expect(nextStart).toBeLessThanOrEqual(20_000);

    pages.set('/t.pdf', {
      type: 'application/pdf',
      body: pdfOf('Timetable', [['Leaves at 7:30'], ['Comes back']]),
    });
    expect(await fetched(here.url('/t.pdf'))).toMatchObject({
      kind: 'pdf',
      pages: 2,
      markdown: '## Page 1\n\nLeaves at 7:30\n\n## Page 2\n\nComes back',
    });
  });

  it(
    'goes to no other host, neither at once nor by a redirect, and each that it wanted is on record',
    verifies('skills.web-installed', 'skills.web-hosts', 'egress.names', 'egress.audit'),
    async () => {
      pages.set('/there', { body: '<p>there</p>' });
      pages.set('/to-granted', { to: here.url('/there', 'docs.example.test') });
      expect(await fetched(here.url('/to-granted'))).toMatchObject({
        url: here.url('/there', 'docs.example.test'),
        markdown: 'there',
      });
      pages.set('/to-other', { to: here.url('/there', 'other.test') });
      expect(await refused(here.url('/to-other'))).toContain(
        `It redirects to other.test:${here.port}, which was not granted`,
      );
      expect(await refused('https://direct.test/')).toContain('direct.test was not granted');
      const said = await sentences();
      for (const name of ['other.test', 'direct.test'])
        expect(said).toContain(
          `${WEB} tried to reach ${name} for owner and was refused: it is not among its hosts`,
        );
      expect(here.asked.filter((place) => place.startsWith('other'))).toEqual([]);
    },
  );

  it(
    'is cut off within a second from a host that is taken back, in the midst of a page',
    verifies('skills.web-installed', 'egress.closed'),
    async () => {
      pages.set('/endless', {});
      const begun = once(here.server, 'begun');
      const waiting = up.run('call', 'web', 'fetch', JSON.stringify({ url: here.url('/endless') }));
      const [socket] = await begun;
      const cut = new Promise<number>((resolve) => socket.once('close', () => resolve(Date.now())));
      const grants = (await up.ok('grants', WEB)) as unknown as { id: string; permission: string }[];
      const grant = grants.find(({ permission }) => permission === `network:example.test:${here.port}`);
      await up.ok('revoke', `${grant?.id}`);
      const records = (await up.ok('audit', 'ls', '--event', 'grant.revoked')) as unknown as {
        time: string;
      }[];
      const revokedAt = Date.parse(`${records[0]?.time}`);
      expect((await cut) - revokedAt).toBeLessThanOrEqual(1000);
      const { code, json } = await waiting;
      expect([code, json.error['detail']]).toEqual([
        1,
        expect.stringContaining('a permission was taken back'),
      ]);

      expect(await refused(here.url('/there'))).toContain('This skill may reach docs.example.test;');
      expect(await fetched(here.url('/there', 'docs.example.test'))).toMatchObject({ markdown: 'there' });
    },
  );
});
