import { join, resolve } from 'node:path';
import { command } from '../command.ts';
import { count, shortDigest } from '../output.ts';

/** `berth pack` */
export const pack = command({
  name: 'pack',
  group: 'Write skills',
  summary: 'Pack the skill in a folder into one archive',
  arguments: { dir: { about: 'folder of the skill' } },
  options: {
    output: { type: 'text', value: 'FILE', short: 'o', about: 'the archive to write (<name>-<version>.tgz)' },
    force: { type: 'flag', about: 'replace the file if it exists' },
  },
  examples: ['berth pack hello', 'berth pack hello -o hello.tgz --force'],
  async run(context, { dir, output, force }) {
    const { unverifiable } = await import('../../protocol/manifest.ts');
    const { packSkill } = await import('../pack.ts');
    const { openSandbox } = await import('../sandbox.ts');
    const { askingRemote } = await import('../ask-remote.ts');
    const { writeResult } = await import('../package-file.ts');
    const { shellWord } = await import('../shell-word.ts');
    const { manifest, archive, digest, surface, files } = await packSkill(
      { driver: await openSandbox(context), remote: askingRemote(context) },
      resolve(context.workingDirectory, dir),
    );
    const file = output ?? `${manifest.name.slice(manifest.name.indexOf('/') + 1)}-${manifest.version}.tgz`;
    const path = resolve(context.workingDirectory, file);
    await writeResult(path, archive, { replace: force });
    return {
      data: {
        name: manifest.name,
        version: manifest.version,
        digest,
        path,
        size: archive.length,
        files: files.map(({ path: name, bytes }) => ({ path: name, size: bytes.length })),
        tools: surface.tools.map((tool) => tool.name),
      },
      text: path,
      notes: [
        `${manifest.name} ${manifest.version}: ${count(files.length, 'file')}, ${kilobytes(archive.length)}, ${shortDigest(digest)}`,
        `Tools: ${surface.tools.map((tool) => tool.name).join(', ') || 'none'}`,
      ],
      warnings: [unverifiable(manifest.runtime.kind) ?? []].flat(),
      undo: `rm ${shellWord(path)}`,
      next: [`berth publish ${shellWord(join('.', file))}`],
    };
  },
});

function kilobytes(bytes: number): string {
  return `${(bytes / 1000).toFixed(1)} kB`;
}
