import { resolve } from 'node:path';
import { command } from '../command.ts';
import { shortKey } from '../output.ts';

/** `berth sign` */
export const sign = command({
  name: 'sign',
  group: 'Publish',
  summary: 'Sign a packed archive with a key of yours',
  arguments: { archive: { about: 'the file that berth pack wrote' } },
  options: {
    key: { type: 'text', value: 'NAME', about: 'which key (default)' },
    output: { type: 'text', value: 'FILE', short: 'o', about: 'the signature (<archive>.sigstore.json)' },
    force: { type: 'flag', about: 'replace the file if it exists' },
  },
  examples: ['berth sign hello-0.1.0.tgz', 'berth sign hello-0.1.0.tgz --key release'],
  async run(context, { archive, key, output, force }) {
    const { BUNDLE_SUFFIX, readArchiveFile, writeResult } = await import('../package-file.ts');
    const { claimsOf } = await import('../package-claims.ts');
    const { authorKey } = await import('../author-keys.ts');
    const { shellWord } = await import('../shell-word.ts');
    const { signStatement } = await import('../../protocol/provenance.ts');
    const from = resolve(context.workingDirectory, archive);
    const claims = await claimsOf(await readArchiveFile(from));
    const { privateKey, record } = await authorKey(context.home, key);
    const bundle = await signStatement(claims.statement, privateKey);
    const path = output === undefined ? from + BUNDLE_SUFFIX : resolve(context.workingDirectory, output);
    await writeResult(path, `${JSON.stringify(bundle)}\n`, { replace: force });
    return {
      data: {
        name: claims.manifest.name,
        version: claims.manifest.version,
        digest: claims.digest,
        signer: `key:${record.keyId}`,
        path,
      },
      text: path,
      notes: [
        `${claims.manifest.name} ${claims.manifest.version} is signed with the ${shortKey(record.keyId)}.`,
      ],
      undo: `rm ${shellWord(path)}`,
      next: [`berth verify ${shellWord(archive)}`],
    };
  },
});
