import { spawnSync } from 'node:child_process';
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { tempFolder } from './support/temp-folder.ts';
import { verifies } from './support/verifies.ts';

const root = join(import.meta.dirname, '..');

/** What each file may not import, and a word of the message that says why. */
const FORBIDDEN: [file: string, code: string, message: string][] = [
  ['protocol/a.ts', `import '../hub/b.ts';`, 'imports nothing of ours'],
  ['protocol/b.ts', `import 'node:fs';`, 'is pure'],
  ['protocol/c.ts', `import './node/database.ts';`, 'is pure'],
  ['protocol/node/a.ts', `import '../../registry/b.ts';`, 'only protocol/'],
  ['registry/a.ts', `import '../hub/b.ts';`, 'meet over HTTP'],
  ['hub/a.ts', `import '../registry/main.ts';`, 'over HTTP'],
  ['hub/mcp/a.ts', `import '../../cli/b.ts';`, 'over HTTP'],
  ['cli/a.ts', `import '../registry/publish.ts';`, 'registry/main.ts'],
  ['cli/b.ts', `import '../test/b.ts';`, 'never imports'],
  ['skills/x/server/a.ts', `import '../../../protocol/errors.ts';`, 'public packages only'],
  ['hub/env.ts', `export const a = process.env.A;`, 'process.env'],
];
const ALLOWED: [file: string, code: string][] = [
  ['hub/c.ts', `import '../protocol/errors.ts';\nimport '../protocol/node/database.ts';`],
  ['cli/c.ts', `import '../registry/main.ts';\nimport '../hub/main.ts';`],
  ['protocol/node/c.ts', `import 'node:fs';\nimport '../errors.ts';`],
  ['cli/config.ts', `export const a = process.env.A;`],
];

describe('the house', () => {
  it('tells whoever imports against its direction, and why', verifies('house.imports'), async () => {
    const copy = await tempFolder();
    await copyFile(join(root, '.oxlintrc.json'), join(copy, '.oxlintrc.json'));
    for (const [file, code] of [...FORBIDDEN, ...ALLOWED]) {
      await mkdir(dirname(join(copy, file)), { recursive: true });
      await writeFile(join(copy, file), `${code}\n`);
    }
    const linted = spawnSync(join(root, 'node_modules/.bin/oxlint'), ['--format', 'json', '.'], {
      cwd: copy,
    });
    const { diagnostics } = JSON.parse(linted.stdout.toString()) as {
      diagnostics: { filename: string; message: string; help?: string }[];
    };
    for (const [file, , message] of FORBIDDEN) {
      const told = diagnostics
        .filter((one) => one.filename === file)
        .map((one) => `${one.message} ${one.help}`);
      expect(told.join('\n'), file).toContain(message);
    }
    for (const [file] of ALLOWED) expect(diagnostics.filter((one) => one.filename === file)).toEqual([]);
  });
});
