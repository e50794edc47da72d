import type { Context } from '../command.ts';
import type { Candidate } from './adopt.ts';

type Ready = Extract<Candidate, { state: 'ready' }>;

/** Asks once for all of them; answers with those that are adopted, or undefined when the person left. */
export async function askWhichToAdopt(
  context: Context,
  ready: readonly Ready[],
): Promise<readonly Ready[] | undefined> {
  const clack = await import('@clack/prompts');
  const streams = { input: context.stdin, output: context.stderr, signal: context.signal };
  const [first] = ready;
  const choice = await clack.select({
    message:
      first !== undefined && ready.length === 1
        ? first.report.summary
        : `Lock these ${ready.length} servers to what is proposed?`,
    options: [
      { value: 'yes', label: 'Yes, exactly that' },
      ...(ready.length > 1 ? [{ value: 'some', label: 'Yes, but let me choose which' }] : []),
      { value: 'no', label: 'No, change nothing' },
    ],
    ...streams,
  });
  if (clack.isCancel(choice)) return undefined;
  if (choice === 'no') return [];
  if (choice === 'yes') return ready;
  const chosen = await clack.multiselect({
    message: 'Which are adopted?',
    required: false,
    initialValues: ready.map(({ entry }) => entry.name),
    options: ready.map(({ entry, report }) => ({ value: entry.name, label: report.summary })),
    ...streams,
  });
  if (clack.isCancel(chosen)) return undefined;
  return ready.filter(({ entry }) => chosen.includes(entry.name));
}

/** Asks for what VS Code would ask its user for; undefined when the person left. */
export async function askForInput(
  context: Context,
  { id, description, password }: { id: string; description: string | undefined; password: boolean },
): Promise<string | undefined> {
  const clack = await import('@clack/prompts');
  const order = {
    message: description ?? id,
    input: context.stdin,
    output: context.stderr,
    signal: context.signal,
  };
  const value = password ? await clack.password(order) : await clack.text(order);
  return clack.isCancel(value) ? undefined : value;
}
