import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { tempFolder } from './temp-folder.ts';

/** A tool of a test skill: what it lists, and the body of an async function of `args` that answers with text. */
export interface TestTool {
  description?: string;
  annotations?: Record<string, unknown>;
  code: string;
}

/**
 * Writes the sources of a small skill, as an author would have them. It speaks MCP 2025-11-25 in plain lines, so that
 * packing and starting it takes no time. `prelude` runs first and may use `fs`.
 */
export async function skillFolder(skill: {
  name?: string;
  version?: string;
  permissions?: Record<string, unknown>;
  config?: Record<string, unknown>;
  effects?: Record<string, unknown>;
  stateless?: boolean;
  tools: Record<string, TestTool>;
  prelude?: string;
}): Promise<string> {
  const folder = join(await tempFolder(), 'skill');
  await mkdir(join(folder, 'server'), { recursive: true });
  await writeFile(
    join(folder, 'skill.json'),
    JSON.stringify({
      name: skill.name ?? 'local.test/subject',
      version: skill.version ?? '1.0.0',
      title: 'Subject',
      description: 'A skill under test',
      license: 'Apache-2.0',
      runtime: { kind: 'node', entry: 'server/index.js', protocol: '2025-11-25' },
      ...(skill.permissions === undefined ? {} : { permissions: skill.permissions }),
      ...(skill.config === undefined ? {} : { config: skill.config }),
      ...(skill.stateless === undefined ? {} : { stateless: skill.stateless }),
      ...(skill.effects === undefined ? {} : { tools: skill.effects }),
    }),
  );
  const listed = Object.entries(skill.tools).map(([name, tool]) => ({
    name,
    description: tool.description ?? `The tool ${name}`,
    inputSchema: { type: 'object' },
    annotations: tool.annotations ?? { readOnlyHint: true },
  }));
  const handlers = Object.entries(skill.tools).map(
    ([name, tool]) => `${JSON.stringify(name)}: async (args) => { ${tool.code} }`,
  );
  await writeFile(
    join(folder, 'server', 'index.js'),
    `import fs from 'node:fs';
import { createInterface } from 'node:readline';
let tools = ${JSON.stringify(listed)};
${skill.prelude ?? ''}
const handlers = { ${handlers.join(',\n')} };
const say = (message) => process.stdout.write(JSON.stringify({ jsonrpc: '2.0', ...message }) + '\\n');
createInterface({ input: process.stdin }).on('line', async (line) => {
  const { id, method, params } = JSON.parse(line);
  if (id === undefined) return;
  if (method === 'initialize') {
    return say({ id, result: { protocolVersion: '2025-11-25', capabilities: { tools: {} }, serverInfo: { name: 'subject', version: '1' } } });
  }
  if (method === 'tools/list') return say({ id, result: { tools } });
  if (method === 'tools/call') {
    try {
      return say({ id, result: { content: [{ type: 'text', text: String(await handlers[params.name](params.arguments ?? {})) }] } });
    } catch (error) {
      return say({ id, result: { isError: true, content: [{ type: 'text', text: String(error.code ?? error) }] } });
    }
  }
  if (method === 'ping') return say({ id, result: {} });
  say({ id, error: { code: -32601, message: 'no such method' } });
});
`,
  );
  return folder;
}
