import { AppError } from '../../protocol/errors.ts';
import type { projectFiles } from './project-files.ts';

/** The changes of one manifest in one session; what it was before the first is kept beside the project. */
export function manifestSteps(files: ReturnType<typeof projectFiles>) {
  const earlier: { before: string; after: string }[] = [];
  let atStart: string | undefined;
  return {
    /** @throws what the edit throws; nothing is written then. */
    async change(edit: (text: string) => string): Promise<void> {
      const before = await files.readManifest();
      const after = edit(before);
      if (after === before) return;
      if (atStart === undefined) await files.keepManifest(before);
      atStart ??= before;
      await files.writeManifest(after);
      earlier.push({ before, after });
    },
    /** @throws AppError `usage-invalid` when there is no change, or the author made another since. */
    async undo(): Promise<void> {
      const step = earlier.at(-1);
      if (step === undefined || (await files.readManifest()) !== step.after) {
        throw new AppError('usage-invalid', {
          detail:
            step === undefined ? 'Nothing was added in this session.' : 'The manifest was changed since.',
        });
      }
      await files.writeManifest(step.before);
      earlier.pop();
    },
    /** Whether the manifest is another one than before the first change. */
    changed: async (): Promise<boolean> => atStart !== undefined && atStart !== (await files.readManifest()),
  };
}
