import { createContext, Script } from 'node:vm';

/** Thrown by `timeLimit` in place of an answer. */
export class TookTooLong extends Error {}

/**
 * Runs work that never waits, such as checking data against a schema that a skill brought, and breaks it off after so
 * many milliseconds: nothing else in this process could.
 * @throws TookTooLong, and whatever the work throws.
 */
export function timeLimit(): <T>(ms: number, work: () => T) => T {
  const place: { work: () => unknown } = { work: () => undefined };
  const context = createContext(place);
  const script = new Script('work()');
  return <T>(ms: number, work: () => T): T => {
    place.work = work;
    try {
      return script.runInContext(context, { timeout: ms }) as T;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ERR_SCRIPT_EXECUTION_TIMEOUT') throw error;
      throw new TookTooLong(`took more than ${ms} ms`, { cause: error });
    }
  };
}
