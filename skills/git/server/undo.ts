import * as z from 'zod';
import { commitAt, hashOf, headOf, type Repository, repositoryInput, revisionInput } from './repository.ts';
import { refuseUnderway } from './stage.ts';

export const undoInput = z.strictObject({
  repository: repositoryInput,
  commit: revisionInput.describe('The commit to take back; it must be the last one.'),
});

export const undoOutput = z.object({
  repository: z.string(),
  undone: z.string(),
  head: z.string().optional().describe('The last commit now; left out when there is none any more.'),
});

/** Takes the last commit off the branch. What it changed stays in the files, and staged. */
export async function undoCommit(
  repository: Repository,
  args: z.output<typeof undoInput>,
): Promise<z.output<typeof undoOutput>> {
  await refuseUnderway(repository);
  const last = await commitAt(repository, args.commit);
  if (last !== (await headOf(repository)))
    throw new Error(`${args.commit} is not the last commit here; only that one can be taken back.`);
  const { stdout } = await repository.git([
    'for-each-ref',
    ...['--count=1', '--format=%(refname:short)', `--contains=${last}`, 'refs/remotes'],
  ]);
  const known = stdout.toString().trim();
  if (known !== '')
    throw new Error(`${last.slice(0, 12)} is on ${known} already, where others may have seen it.`);
  const parent = await hashOf(repository, `${last}^1`);
  // Each only if it is still the last.
  await repository.git(
    parent === undefined
      ? ['update-ref', '-m', 'commit: taken back', '-d', 'HEAD', last]
      : ['update-ref', '-m', 'commit: taken back', 'HEAD', parent, last],
  );
  return { repository: repository.path, undone: last, ...(parent === undefined ? {} : { head: parent }) };
}

export function undoText({ undone, head }: z.output<typeof undoOutput>): string {
  const now =
    head === undefined ? 'There is no commit any more.' : `The last one is ${head.slice(0, 12)} now.`;
  return `Took back ${undone.slice(0, 12)}; what it changed is staged. ${now}`;
}
