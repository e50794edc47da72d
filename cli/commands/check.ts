import { resolve } from 'node:path';
import { command } from '../command.ts';
import { count, plain, shortDigest } from '../output.ts';
import { permissionLines, toolLines } from '../skill-text.ts';

/** `berth check` */
export const check = command({
  name: 'check',
  group: 'Write skills',
  summary: 'Check manifest and code, run the tests, and show what an admin will see',
  arguments: { dir: { about: 'folder of the skill' } },
  options: {},
  examples: ['berth check hello'],
  async run(context, { dir }) {
    const { checkSkill, refuseFailedTests } = await import('../check.ts');
    const { openSandbox } = await import('../sandbox.ts');
    const { openLearnSandbox } = await import('../dev/sandbox.ts');
    const { askingRemote } = await import('../ask-remote.ts');
    const { shellWord } = await import('../shell-word.ts');
    const checked = await checkSkill(
      { driver: openSandbox(context), remote: askingRemote(context), learn: await openLearnSandbox(context) },
      resolve(context.workingDirectory, dir),
    );
    refuseFailedTests(checked.tests);
    const { packed, can, cannot, tools, advice, tests } = checked;
    const { manifest, digest, archive, files } = packed;
    const { paint } = context;
    return {
      data: {
        name: manifest.name,
        version: manifest.version,
        digest,
        size: archive.length,
        files: files.map(({ path }) => path),
        permissions: { can, cannot },
        tools,
        tests: tests.map(({ file, passed }) => ({ file, passed })),
      },
      text: [
        `${paint.good('ok')} ${manifest.name} ${manifest.version} packs: ${count(files.length, 'file')}, ${shortDigest(digest)}`,
        manifest.runtime.kind === 'prompt-only'
          ? `${paint.good('ok')} it is instructions only: nothing of it runs`
          : manifest.runtime.kind === 'remote'
            ? `${paint.good('ok')} its server answers and offers ${count(tools.length, 'tool')}`
            : `${paint.good('ok')} it starts in the sandbox and offers ${count(tools.length, 'tool')}`,
        ...tests.map(({ file }) => `${paint.good('ok')} ${file} passes in the sandbox`),
        ...permissionLines(paint, { can: can.map(plain), cannot: cannot.map(plain) }),
        ...toolLines(paint, tools),
      ].join('\n'),
      warnings: advice,
      next: [`berth publish ${shellWord(dir)}`],
    };
  },
});
