import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * Writes a small MCP server as people have them in a project: a script with a package.json, in plain lines, so that
 * starting it takes no time. `tools` are bodies of async functions of `args`; `prelude` runs first and may use `fs`.
 */
export async function adoptableServer(
  folder: string,
  {
    tools,
    prelude = '',
    manifest = {},
    says = { readOnlyHint: true },
  }: {
    tools: Record<string, string>;
    prelude?: string;
    manifest?: Record<string, unknown>;
    /** Annotations of each tool. */
    says?: Record<string, boolean>;
  },
): Promise<string> {
  await mkdir(folder, { recursive: true });
  await writeFile(
    join(folder, 'package.json'),
    JSON.stringify({
      name: 'adoptable',
      version: '2.1.0',
      description: 'A server',
      type: 'module',
      ...manifest,
    }),
  );
  const listed = Object.keys(tools).map((name) => ({
    name,
    inputSchema: { type: 'object' },
    annotations: says,
  }));
  const handlers = Object.entries(tools).map(
    ([name, body]) => `${JSON.stringify(name)}: async (args) => { ${body} }`,
  );
  const script = join(folder, 'server.js');
  await writeFile(
    script,
    `#!/usr/bin/env node
import fs from 'node:fs';
import { createInterface } from 'node:readline';
${prelude}
const handlers = { ${handlers.join(',\n')} };
const say = (message) => process.stdout.write(JSON.stringify({ jsonrpc: '2.0', ...message }) + '\\n');
createInterface({ input: process.stdin }).on('line', async (line) => {
  const { id, method, params } = JSON.parse(line);
  if (id === undefined) return;
  if (method === 'initialize') {
    return say({ id, result: { protocolVersion: '2025-03-26', capabilities: { tools: {} }, serverInfo: { name: 's', version: '1' } } });
  }
  if (method === 'tools/list') return say({ id, result: { tools: ${JSON.stringify(listed)} } });
  if (method === 'tools/call') {
    const text = (value, isError) => say({ id, result: { ...(isError ? { isError } : {}), content: [{ type: 'text', text: String(value) }] } });
    try {
      return text(await handlers[params.name](params.arguments ?? {}), false);
    } catch (error) {
      return text(error.message, true);
    }
  }
  if (method === 'ping') return say({ id, result: {} });
  say({ id, error: { code: -32601, message: 'no such method' } });
});
`,
  );
  return script;
}
