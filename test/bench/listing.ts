import { spawn } from 'node:child_process';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Bars } from './bars.ts';
import { type BenchHub, firstLine } from './bench-hub.ts';
import { type Load, load, median } from './load.ts';
import { legacyClient, modernClient } from './mcp.ts';
import { childrenOf } from './processes.ts';
import { table } from './table.ts';

const SKILLS = 50;
const TOOLS = 8;
const ROUNDS = 3;

/** `tools/list` of many skills beside the same bytes sent as they lie; no skill is started by it. */
export async function benchListing(hub: BenchHub, token: string, bars: Bars): Promise<void> {
  for (let n = 0; n < SKILLS; n += 1) await installLister(hub, n);
  const modern = await modernClient(hub.mcp, token);
  const legacy = await legacyClient(hub.mcp, token);
  const skills = childrenOf(hub.pid).length;
  const bytes = await legacy.prepare('tools/list', {})();
  const file = join(hub.home, 'list.json');
  await writeFile(file, bytes);
  const server = spawn(process.execPath, [join(import.meta.dirname, 'raw-bytes.mjs'), file], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const plain = await modernClient(`http://127.0.0.1:${await firstLine(server)}/`, 'none');
  const rows = { bytes: [] as Load[], legacy: [] as Load[], modern: [] as Load[] };
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const [name, client, pid] of [
      ['bytes', plain, server.pid],
      ['legacy', legacy, hub.pid],
      ['modern', modern, hub.pid],
    ] as const) {
      const send = client.prepare('tools/list', {});
      rows[name].push(await load([async () => refuseShort(await send())], { server: pid ?? 0 }));
    }
  }
  const started = childrenOf(hub.pid).length - skills;
  for (const client of [plain, modern, legacy]) client.close();
  server.kill('SIGKILL');

  const of = (row: Load[], what: keyof Load) => median(row.map((one) => one[what]));
  const p50 = (row: Load[]) => of(row, 'p50Ms');
  const times = (row: Load[]) =>
    median(row.map((one, round) => one.p50Ms / (rows.bytes[round]?.p50Ms ?? Number.NaN)));
  const line = (name: string, row: Load[]) => [
    name,
    p50(row).toFixed(2),
    of(row, 'p99Ms').toFixed(2),
    of(row, 'serverCpuMs').toFixed(2),
    times(row).toFixed(1),
  ];
  table(
    `tools/list of ${SKILLS} skills with ${TOOLS} tools each, ${(bytes.length / 1024).toFixed(0)} kB`,
    ['', 'p50 ms', 'p99 ms', 'server CPU ms', 'of the bytes'],
    [
      line('the bytes alone (baseline)', rows.bytes),
      line('hub, 2025-11-25', rows.legacy),
      line('hub, 2026-07-28', rows.modern),
    ],
  );
  bars.atMost('tools/list, 2025-11-25, of the bytes alone', times(rows.legacy), 2, 'x');
  bars.atMost('tools/list, 2026-07-28, of the bytes alone', times(rows.modern), 2, 'x');
  bars.atMost('skills started by tools/list', started, 0);
}

function refuseShort(text: string): void {
  const tools = text.split('"inputSchema"').length - 1;
  if (tools < SKILLS * TOOLS) throw new Error(`only ${tools} tools were listed: ${text.slice(0, 300)}`);
}

/** A skill of a few lines, so that fifty of them are packed and installed in seconds. */
async function installLister(hub: BenchHub, n: number): Promise<void> {
  const folder = join(hub.home, 'lister');
  await rm(folder, { recursive: true, force: true });
  await mkdir(join(folder, 'server'), { recursive: true });
  const tools = Array.from({ length: TOOLS }, (_, tool) => ({
    name: `tool_${tool}`,
    description: `Does what the ${tool}th thing of skill ${n} needs, and says afterwards how it went.`,
    inputSchema: {
      type: 'object',
      properties: { subject: { type: 'string', description: 'What it is about' } },
    },
    annotations: { readOnlyHint: true },
  }));
  await writeFile(
    join(folder, 'skill.json'),
    JSON.stringify({
      name: `local.bench/lister-${n}`,
      version: '1.0.0',
      title: 'Lister',
      description: 'Lists tools',
      license: 'Apache-2.0',
      runtime: { kind: 'node', entry: 'server/index.js', protocol: '2025-11-25' },
    }),
  );
  await writeFile(
    join(folder, 'server', 'index.js'),
    `import { createInterface } from 'node:readline';
const answers = {
  initialize: { protocolVersion: '2025-11-25', capabilities: { tools: {} }, serverInfo: { name: 'lister', version: '1' } },
  'tools/list': { tools: ${JSON.stringify(tools)} },
};
createInterface({ input: process.stdin }).on('line', (line) => {
  const { id, method } = JSON.parse(line);
  if (id !== undefined) process.stdout.write(JSON.stringify({ jsonrpc: '2.0', id, result: answers[method] ?? {} }) + '\\n');
});
`,
  );
  await hub.install(folder);
}
