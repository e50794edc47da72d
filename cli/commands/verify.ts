import { resolve } from 'node:path';
import { command } from '../command.ts';
import { count, shortKey } from '../output.ts';

/** `berth verify` */
export const verify = command({
  name: 'verify',
  group: 'Look back',
  summary: 'Check an archive against its signature, without any server',
  arguments: { archive: { about: 'the archive' } },
  options: {
    bundle: { type: 'text', value: 'FILE', about: 'its signature (<archive>.sigstore.json)' },
    keys: {
      type: 'list',
      value: 'FILE',
      about: 'public keys that may have signed: PEM, or JSON of /v1/keys/<namespace>; your own when left out',
    },
  },
  examples: [
    'berth verify hello-0.1.0.tgz',
    'berth verify files-1.0.0.tgz --bundle files.sigstore.json --keys dev.berth.json',
  ],
  async run(context, { archive, bundle, keys }) {
    const { BUNDLE_SUFFIX, readArchiveFile, readBundleFile } = await import('../package-file.ts');
    const { readPublicKeys, verifyPackage } = await import('../verify.ts');
    const { authorKeys } = await import('../author-keys.ts');
    const path = resolve(context.workingDirectory, archive);
    const bytes = await readArchiveFile(path);
    const signature = await readBundleFile(
      bundle === undefined ? path + BUNDLE_SUFFIX : resolve(context.workingDirectory, bundle),
    );
    const trusted =
      keys.length === 0
        ? (await authorKeys(context.home)).map(({ record }) => record)
        : (
            await Promise.all(keys.map((file) => readPublicKeys(resolve(context.workingDirectory, file))))
          ).flat();
    const data = await verifyPackage(bytes, signature, trusted);
    return {
      data,
      text: `${context.paint.good('ok')} ${data.name} ${data.version}: ${count(data.files, 'file')}, signed with the ${shortKey(data.signer)}`,
      notes: keys.length === 0 ? ['Checked against the keys of this home.'] : [],
    };
  },
});
