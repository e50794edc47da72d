import { cp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { BenchHub } from './bench-hub.ts';
import { load } from './load.ts';
import { type BenchClient, legacyClient, modernClient } from './mcp.ts';
import { table } from './table.ts';

const SKILLS = 50;

/** `tools/list` with one skill and with fifty; none of them is started by it. */
export async function benchListing(hub: BenchHub, token: string): Promise<void> {
  const modern = modernClient(hub.mcp, token);
  const legacy = await legacyClient(hub.mcp, token);
  const measure = async (tools: number) => {
    const listing = (client: BenchClient) => async () => {
      const listed = await client.list();
      if (listed !== tools) throw new Error(`${listed} tools were listed instead of ${tools}`);
    };
    return { modern: await load(1, listing(modern)), legacy: await load(1, listing(legacy)) };
  };
  const one = await measure(1);
  for (let n = 1; n < SKILLS; n += 1) await installCopy(hub, `local.bench/echo-${n}`);
  const many = await measure(SKILLS);
  modern.close();
  legacy.close();
  const rows = (['modern', 'legacy'] as const).flatMap((era) => [
    [`${era}, 1 skill (baseline)`, one[era].p50Ms.toFixed(2), one[era].p99Ms.toFixed(2), '1.0'],
    [
      `${era}, ${SKILLS} skills`,
      many[era].p50Ms.toFixed(2),
      many[era].p99Ms.toFixed(2),
      (many[era].p50Ms / one[era].p50Ms).toFixed(1),
    ],
  ]);
  table('tools/list', ['', 'p50 ms', 'p99 ms', 'of one skill'], rows);
}

async function installCopy(hub: BenchHub, name: string): Promise<void> {
  const copy = join(hub.home, 'copy');
  await rm(copy, { recursive: true, force: true });
  await cp(hub.echo, copy, { recursive: true });
  const manifest = JSON.parse(await readFile(join(copy, 'skill.json'), 'utf8')) as Record<string, unknown>;
  await writeFile(join(copy, 'skill.json'), JSON.stringify({ ...manifest, name }));
  hub.cli('publish', copy);
  hub.cli('install', name, '--yes');
}
