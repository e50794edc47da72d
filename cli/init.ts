import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { AppError } from '../protocol/errors.ts';
import { pythonTemplate } from './init-python.ts';
import { nameSchema, splitName } from '../protocol/manifest.ts';

/** What a new skill can begin as. */
export const TEMPLATES = ['node', 'python', 'prompt'] as const;
export type Template = (typeof TEMPLATES)[number];

/** What was written: the name of the skill and its files. */
export interface NewSkill {
  name: string;
  files: readonly string[];
}

/**
 * Writes a new skill into a folder that is missing or empty. It packs and publishes as it is.
 * @throws AppError `usage-invalid` for a folder in use or a name that no skill can have.
 */
export async function initSkill(
  folder: string,
  options: { name: string; template: Template },
): Promise<NewSkill> {
  const name = checkedName(options.name);
  const there = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw new AppError('usage-invalid', { detail: `${folder} is not a folder.`, cause: error });
  });
  if (there.length > 0) {
    throw new AppError('usage-invalid', {
      detail: `${folder} is not empty.`,
      hint: 'Name a new folder; nothing is ever overwritten.',
    });
  }
  const files = FILES[options.template](name);
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), text, { flag: 'wx' });
  }
  return { name, files: Object.keys(files) };
}

const FILES: Readonly<Record<Template, (name: string) => Record<string, string>>> = {
  node: nodeTemplate,
  python: (name) => pythonTemplate(name, titleOf(name)),
  prompt: promptTemplate,
};

function checkedName(name: string): string {
  if (nameSchema.safeParse(name).success) return name;
  throw new AppError('usage-invalid', {
    detail: `${name} is not the name of a skill.`,
    hint: 'Give --name with a reversed domain and one word, such as --name local.me/hello.',
  });
}

function titleOf(name: string): string {
  const word = splitName(name).name.replaceAll('-', ' ');
  return word.charAt(0).toUpperCase() + word.slice(1);
}

const json = (value: unknown): string => `${JSON.stringify(value, undefined, 2)}\n`;

function nodeTemplate(name: string): Record<string, string> {
  return {
    'skill.json': json({
      $schema: 'https://berth.dev/schema/skill.v1.json',
      name,
      version: '0.1.0',
      title: titleOf(name),
      description: 'Greets whoever is named.',
      license: 'Apache-2.0',
      runtime: { kind: 'node', entry: 'server/index.ts', protocol: '2026-07-28' },
      permissions: {},
      tools: { greet: { effects: ['read'] } },
    }),
    'server/index.ts': `import { fromJsonSchema, McpServer } from '@modelcontextprotocol/server';
import { serveStdio } from '@modelcontextprotocol/server/stdio';
import { greeting } from './greeting.ts';

serveStdio(() => {
  const server = new McpServer({ name: '${name}', version: '0.1.0' });
  server.registerTool(
    'greet',
    {
      title: 'Greet',
      description: 'Says hello to whoever is named, or to the world.',
      inputSchema: fromJsonSchema<{ name?: string }>({
        type: 'object',
        properties: { name: { type: 'string', maxLength: 100, description: 'Whom to greet' } },
        additionalProperties: false,
      }),
      annotations: { readOnlyHint: true, openWorldHint: false },
    },
    async ({ name }) => ({ content: [{ type: 'text', text: greeting(name) }] }),
  );
  return server;
});
`,
    'server/greeting.ts': `/** What is said; without a name, to the world. */
export function greeting(name = 'world'): string {
  return \`Hello, \${name}!\`;
}
`,
    'test/greeting.test.ts': `import assert from 'node:assert/strict';
import { test } from 'node:test';
import { greeting } from '../server/greeting.ts';

test('greets the world when nobody is named', () => {
  assert.equal(greeting(), 'Hello, world!');
});

test('greets by name', () => {
  assert.equal(greeting('Ada'), 'Hello, Ada!');
});
`,
    'README.md': `# ${titleOf(name)}

A skill with one tool, \`greet\`, which takes an optional \`name\`.

    berth check .                    # the manifest, the tests, and one start in the sandbox
    berth publish .
    berth install ${name} --yes
    berth call ${name} greet '{"name": "Ada"}'

\`skill.json\` says what the skill is and which permissions it asks; it asks none. \`server/index.ts\` is an MCP server on
standard input and output. Nothing has to be installed: Berth lends the MCP SDK and bundles the server into one file. With
packages of your own, run \`npm install\` here first.
`,
  };
}

function promptTemplate(name: string): Record<string, string> {
  return {
    'skill.json': json({
      $schema: 'https://berth.dev/schema/skill.v1.json',
      name,
      version: '0.1.0',
      title: titleOf(name),
      description: 'Instructions for a model.',
      license: 'Apache-2.0',
      runtime: { kind: 'prompt-only' },
    }),
    'SKILL.md': `---
name: ${splitName(name).name}
description: Use this when somebody asks for a short summary of a text.
---

# ${titleOf(name)}

1. Read the whole text before you write anything.
2. Say in one sentence what it is about.
3. List at most five points, the most important first.
4. Say what the text leaves open.
`,
    'README.md': `# ${titleOf(name)}

A skill that consists of instructions only: \`SKILL.md\` is what a model reads. Files that it refers to are packed when
\`skill.json\` lists them in \`files\`.

    berth check .
    berth publish .
    berth install ${name} --yes
`,
  };
}
