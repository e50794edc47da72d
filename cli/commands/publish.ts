import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { AppError } from '../../protocol/errors.ts';
import { command, type Context } from '../command.ts';
import { shortDigest } from '../output.ts';

/** `berth publish` */
export const publish = command({
  name: 'publish',
  group: 'Publish',
  summary: 'Pack, sign and publish a skill',
  arguments: { source: { about: 'folder of the skill, or an archive' } },
  options: {
    dryRun: { type: 'flag', about: 'pack and check, but publish nothing' },
    key: { type: 'text', value: 'NAME', about: 'sign with this key (default)' },
    tokenFile: { type: 'text', value: 'FILE', about: 'file that holds the token of the registry' },
  },
  examples: [
    'berth publish hello',
    'berth publish hello --dry-run',
    'berth publish hello-0.1.0.tgz --key release',
  ],
  async run(context, { source, dryRun, key, tokenFile }) {
    const { claimsOf } = await import('../package-claims.ts');
    const { unverifiable } = await import('../../protocol/manifest.ts');
    const { shellWord } = await import('../shell-word.ts');
    const path = resolve(context.workingDirectory, source);
    if (dryRun) {
      const { archive } = await archiveFrom(context, path);
      const { manifest, digest, statement, surface } = await claimsOf(archive);
      const files = Object.keys(statement.predicate.files);
      return {
        data: {
          name: manifest.name,
          version: manifest.version,
          digest,
          size: archive.length,
          files,
          tools: surface.tools.map((tool) => tool.name),
          published: false,
        },
        text: [
          `${manifest.name} ${manifest.version} ${shortDigest(digest)}`,
          ...files.map((file) => `  ${file}`),
        ].join('\n'),
        notes: ['Nothing was published.'],
        warnings: [unverifiable(manifest.runtime.kind) ?? []].flat(),
        next: [`berth publish ${shellWord(source)}`],
      };
    }
    const { publishArchive, signedIn } = await import('../publish.ts');
    const { authorKey } = await import('../author-keys.ts');
    const { registriesSignedInTo } = await import('../credentials.ts');
    const { isFolder } = await import('../package-file.ts');
    const { registryFault } = await import('../servers.ts');
    const registry = await context.registryAddress(
      tokenFile === undefined ? {} : { tokenFile: resolve(context.workingDirectory, tokenFile) },
    );
    // What is missing is said before the work of packing.
    signedIn(registry, await registriesSignedInTo(context.home));
    if (key !== undefined || (await isFolder(path))) await authorKey(context.home, key);
    const { archive, bundle } = await archiveFrom(context, path);
    const { manifest } = await claimsOf(archive);
    // A signature that lies beside the archive is used as it is, unless a key is named.
    const signature =
      bundle === undefined || key !== undefined ? { key: await authorKey(context.home, key) } : { bundle };
    const { repeated, ...data } = await publishArchive({ registry }, archive, signature).catch(
      (error: unknown) => {
        throw registryFault(error, registry.baseUrl, context.settings);
      },
    );
    return {
      data,
      text: `${data.name} ${data.version} ${shortDigest(data.digest)}`,
      notes: [
        repeated
          ? `${registry.baseUrl} had exactly this already; the receipt is the same.`
          : `Published to ${registry.baseUrl}, entry ${data.receipt.logIndex} of its log.`,
      ],
      warnings: [unverifiable(manifest.runtime.kind) ?? []].flat(),
      ...(repeated ? {} : { undo: `berth yank ${data.name}@${data.version}` }),
      // A registry that was named need not be the one of the hub.
      next: [`berth ${context.settings.registry === undefined ? 'install' : 'info'} ${data.name}`],
    };
  },
});

async function archiveFrom(context: Context, path: string): Promise<{ archive: Buffer; bundle?: unknown }> {
  const { bundleBeside, isFolder, readArchiveFile } = await import('../package-file.ts');
  if (!existsSync(path)) {
    throw new AppError('usage-invalid', {
      detail: `There is neither a folder nor an archive ${path}.`,
      hint: 'Name the folder of a skill, or an archive that berth pack wrote.',
    });
  }
  if (!(await isFolder(path))) {
    return { archive: await readArchiveFile(path), bundle: await bundleBeside(path) };
  }
  const { packSkill } = await import('../pack.ts');
  const { openSandbox } = await import('../sandbox.ts');
  const { askingRemote } = await import('../ask-remote.ts');
  return {
    archive: (await packSkill({ driver: await openSandbox(context), remote: askingRemote(context) }, path))
      .archive,
  };
}
