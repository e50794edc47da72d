import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { create } from 'tar';

/** An npm registry on loopback that publishes what lies in this project's `node_modules`. */
export interface NpmRegistry {
  url: string;
  /** Names that were asked for. */
  asked: ReadonlySet<string>;
  close(): Promise<void>;
}

interface Kept {
  folder: string;
  manifest: Record<string, unknown> & { name: string; version: string };
}

/**
 * Speaks as much of npm's protocol as an install needs: a package's document with its versions, and their archives
 * with a digest that npm checks. `more` are folders of packages beside those installed here.
 */
export async function npmRegistry(more: readonly string[] = []): Promise<NpmRegistry> {
  const root = join(import.meta.dirname, '../../node_modules');
  const kept = new Map<string, Kept[]>();
  for (const folder of [...packageFolders(root), ...more]) {
    const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Kept['manifest'];
    if (typeof manifest.name !== 'string' || typeof manifest.version !== 'string') continue;
    const all = kept.get(manifest.name) ?? [];
    if (!all.some(({ manifest: { version } }) => version === manifest.version))
      all.push({ folder, manifest });
    kept.set(manifest.name, all);
  }
  const archives = new Map<string, Promise<Buffer>>();
  const archiveOf = (folder: string): Promise<Buffer> => {
    const made = archives.get(folder) ?? packed(folder);
    archives.set(folder, made);
    return made;
  };
  const asked = new Set<string>();
  const server = createServer((request, response) => {
    const path = decodeURIComponent(new URL(request.url ?? '/', 'http://x').pathname).slice(1);
    void answer(path).then(
      ({ type, body }) => response.writeHead(200, { 'content-type': type }).end(body),
      () => response.writeHead(404, { 'content-type': 'application/json' }).end('{"error":"not found"}'),
    );
  });

  async function answer(path: string): Promise<{ type: string; body: Buffer | string }> {
    const [name = '', file] = path.split('/-/');
    const versions = kept.get(name);
    if (versions === undefined) throw new Error(`no ${name}`);
    if (file !== undefined) {
      const found = versions.find(({ manifest }) => file === `${manifest.version}.tgz`);
      if (found === undefined) throw new Error(`no ${file}`);
      return { type: 'application/octet-stream', body: await archiveOf(found.folder) };
    }
    asked.add(name);
    const documents = await Promise.all(
      versions.map(async ({ folder, manifest }) => {
        const integrity = `sha512-${createHash('sha512')
          .update(await archiveOf(folder))
          .digest('base64')}`;
        const tarball = `${url}/${name}/-/${manifest.version}.tgz`;
        return [manifest.version, { ...manifest, dist: { tarball, integrity } }] as const;
      }),
    );
    const latest = versions[0]?.manifest.version;
    const document = { name, 'dist-tags': { latest }, versions: Object.fromEntries(documents) };
    return { type: 'application/json', body: JSON.stringify(document) };
  }

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url,
    asked,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Every package below a `node_modules`, nested ones after those that all see. */
function packageFolders(modules: string): string[] {
  if (!existsSync(modules)) return [];
  const own = readdirSync(modules).flatMap((name) =>
    name.startsWith('@')
      ? readdirSync(join(modules, name)).map((inner) => join(modules, name, inner))
      : [join(modules, name)],
  );
  const packages = own.filter((folder) => existsSync(join(folder, 'package.json')));
  return [...packages, ...packages.flatMap((folder) => packageFolders(join(folder, 'node_modules')))];
}

async function packed(folder: string): Promise<Buffer> {
  const chunks: Buffer[] = [];
  const names = readdirSync(folder).filter((name) => name !== 'node_modules');
  const stream = create({ cwd: folder, gzip: true, portable: true, prefix: 'package' }, names);
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}
