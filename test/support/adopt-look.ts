import type { LearnCall } from '../../cli/adopt/learn.ts';
import { learnHere } from '../../cli/adopt/learn-here.ts';
import { prepare, type Prepared } from '../../cli/adopt/prepare.ts';
import { readSettings } from '../../cli/config.ts';
import { openSandbox } from '../../cli/sandbox.ts';
import { tempFolder } from './temp-folder.ts';

/** Looks at one server as `berth adopt` does, with this environment, in a home of its own. */
export async function adoptLook(
  command: string,
  args: readonly string[],
  {
    environment = {},
    env = {},
    calls = [],
  }: {
    environment?: Readonly<Record<string, string | undefined>>;
    /** What the settings of its client set. */
    env?: Readonly<Record<string, string>>;
    calls?: readonly LearnCall[];
  } = {},
): Promise<Prepared> {
  const home = await tempFolder();
  const { PATH } = process.env; // oxlint-disable-line node/no-process-env
  const settings = readSettings({ PATH, HOME: home, BERTH_HOME: home, ...environment });
  const driver = await openSandbox({ home, settings });
  return prepare(
    {
      driver,
      learn: await learnHere({ home, settings }, driver),
      environment: settings.environment,
      userHome: home,
      signal: new AbortController().signal,
    },
    {
      title: 'subject',
      name: 'local.adopted/subject',
      cwd: home,
      known: [],
      calls,
      way: { kind: 'local', command, args, env, passedOn: [], envFiles: [], cwd: undefined },
    },
  );
}
