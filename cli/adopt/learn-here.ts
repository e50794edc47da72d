import { realpath } from 'node:fs/promises';
import type { SandboxDriver } from '../../hub/sandbox/sandbox.ts';
import { AppError } from '../../protocol/errors.ts';
import type { Context } from '../command.ts';
import { hostQuestions } from '../dev/host.ts';
import { openLearnSandbox } from '../dev/sandbox.ts';
import { learnFromErrors } from './learn-from-errors.ts';
import type { Learn } from './learn.ts';
import { learnObserved } from './learn-observed.ts';

/**
 * The best way to learn on this machine: by watching, or where strace is missing from what the tools answer, which is
 * then said with the command that mends it.
 * @throws AppError what opening the sandbox throws.
 */
export async function learnHere(
  context: Pick<Context, 'home' | 'settings'>,
  driver: SandboxDriver,
): Promise<Learn> {
  const sandbox = await openLearnSandbox(context);
  const why = await sandbox.check().then(
    () => undefined,
    (error: unknown) => {
      if (error instanceof AppError && error.code === 'learn-unavailable') return error;
      throw error;
    },
  );
  if (why === undefined) {
    return learnObserved({
      sandbox,
      questions: hostQuestions(context.settings.environment),
      forbidden: [await realpath(context.home).catch(() => context.home), '/proc', '/sys', '/dev'],
    });
  }
  const learn = learnFromErrors({ driver });
  const note = `It could not be watched: ${why.message}${why.hint === undefined ? '' : ` To see more: ${why.hint}`}`;
  return async (order) => {
    const learned = await learn(order);
    return { ...learned, notes: [...learned.notes, note] };
  };
}
