import { realpath } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { resolve } from 'node:path';
import { systemClock } from '../../hub/clock.ts';
import { AppError, asAppError } from '../../protocol/errors.ts';
import type { Context, Outcome } from '../command.ts';
import { plain } from '../output.ts';
import { projectFolder, skillFiles } from '../pack.ts';
import { shellWord } from '../shell-word.ts';
import { type Choices, isFolder, readAllowedHost, readFolder, readSetting } from './choices.ts';
import { hostQuestions } from './host.ts';
import { takeKeys } from './keys.ts';
import { tellTo } from './lines.ts';
import type { Used } from './learning.ts';
import { wishInWords } from './learn-event.ts';
import { projectFiles } from './project-files.ts';
import { type LearnSandbox, openLearnSandbox } from './sandbox.ts';
import { devDataDir, devSession, type DevSession } from './session.ts';
import { serveStdio } from './stdio-server.ts';
import { watchProject } from './watch.ts';

/** What `berth dev` was given. */
export interface DevOptions {
  dir: string;
  workspace: string | undefined;
  folder: string[];
  set: string[];
  call: string[];
  stdio: boolean;
  record: boolean;
  allowHost: string[];
  allowProgram: string[];
  allowEnv: string[];
  allowSeen: boolean;
}

/**
 * Runs a skill until its author is done: with keys on a terminal, for a client on a pipe, or for the calls on the command
 * line and on standard input.
 * @throws AppError `usage-invalid`, `learn-unavailable`, `learn-incomplete`, and what packing and starting throw.
 */
export async function develop(context: Context, given: DevOptions): Promise<Outcome> {
  const project = await projectFolder(resolve(context.workingDirectory, given.dir));
  const sandbox = await openLearnSandbox(context);
  const choices = await choicesOf(context, given, { sandbox, project });
  // Without a person there are JSON lines; but as a server on a pipe, standard output is the client's.
  const isForPrograms = (context.json || !context.terminal) && !given.stdio;
  const screen = { ...context, json: isForPrograms };
  const { tell, say } = tellTo(screen, systemClock.now);
  let server: ReturnType<typeof serveStdio> | undefined;
  let hasStarted = false;
  const session = devSession(
    {
      sandbox,
      project,
      dataDir: devDataDir(context.home),
      environment: context.settings.environment,
      questions: hostQuestions(context.settings.environment),
      forbidden: [await realpath(context.home).catch(() => context.home), '/proc', '/sys', '/dev'],
      tell(event) {
        tell(event);
        if (event.event !== 'started') return;
        hasStarted = true;
        server?.restarted();
      },
    },
    choices,
  );
  const stopWatching = await watchProject(project, {
    clock: systemClock,
    changed: () => void session.load().catch((error: unknown) => say(plain(asAppError(error).message))),
  });
  let used: Used | undefined;
  try {
    await session.load();
    const call = async (line: string, signal = context.signal): Promise<boolean> => {
      const answer = await called(session, line, signal);
      tell(answer);
      return 'result' in answer;
    };
    let allAnswered = true;
    for (const line of given.call) if (!(await call(line))) allAnswered = false;
    if (given.stdio) {
      server = serveStdio(session, {
        input: context.stdin,
        output: context.stdout,
        protocol: () => session.run()?.protocol,
      });
      await Promise.race([server.ended, aborted(context.signal)]);
    } else if (context.asks) {
      await takeKeys({ context, session, record: given.record, call, say });
    } else if (given.call.length === 0) {
      await callEach(context, call);
    }
    if (given.record) used = await session.record(new Date(systemClock.now()));
    const outcome = await outcomeOf({ session, project, given, used, silent: given.stdio || isForPrograms });
    // A person has seen it; whoever calls from a script asks for the exit code.
    return isForPrograms && !(hasStarted && allAnswered) ? { ...outcome, exit: 1 } : outcome;
  } finally {
    stopWatching();
    await session.close();
  }
}

async function outcomeOf({
  session,
  project,
  given,
  used,
  silent,
}: {
  session: DevSession;
  project: string;
  given: DevOptions;
  used: Used | undefined;
  /** Whether all was said already, or nobody is there to read it. */
  silent: boolean;
}): Promise<Outcome> {
  const files = projectFiles(project);
  const open = session.wishes();
  const changed = await session.changed();
  return {
    data: { wishes: open, ...(used === undefined ? {} : { recorded: used }) },
    ...(used === undefined || silent
      ? {}
      : {
          text: changed
            ? 'skill.json asks exactly for what was used.'
            : 'skill.json asked exactly for what was used already.',
        }),
    ...(open.length === 0 || silent
      ? {}
      : {
          warnings: open.map(
            (wish) => `It was refused to ${plain(wishInWords(wish)).replaceAll(/\s+/g, ' ')}.`,
          ),
        }),
    ...(changed ? { undo: `cp ${shellWord(files.before)} ${shellWord(files.manifest)}` } : {}),
    next: [`berth check ${shellWord(given.dir)}`],
  };
}

/** Calls a tool as `name {json}` says. What fails is an answer, too. */
async function called(session: DevSession, line: string, signal: AbortSignal) {
  const [, tool = '', text = ''] = /^\s*(\S+)\s*(.*)$/s.exec(line) ?? [];
  try {
    const result = await session.request('tools/call', { name: tool, arguments: argumentsOf(text) }, signal);
    return { event: 'result', tool, result } as const;
  } catch (error) {
    const { code, message } = asAppError(error);
    return { event: 'result', tool, error: { code, detail: message } } as const;
  }
}

function argumentsOf(text: string): Record<string, unknown> {
  try {
    const value: unknown = text.trim() === '' ? {} : JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value))
      return value as Record<string, unknown>;
  } catch {
    // It is answered below.
  }
  throw new AppError('usage-invalid', {
    detail: `${text} is not a JSON object.`,
    hint: 'Such as: greet {"name": "Ada"}',
  });
}

/** Each line of standard input is a call. */
async function callEach({ stdin, signal }: Context, call: (line: string) => Promise<unknown>): Promise<void> {
  const lines = createInterface({ input: stdin, signal });
  for await (const line of lines) if (line.trim() !== '') await call(line);
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

async function choicesOf(
  context: Context,
  given: DevOptions,
  { sandbox, project }: { sandbox: LearnSandbox; project: string },
): Promise<Choices> {
  const { workingDirectory } = context;
  const opened = [...given.allowHost, ...given.allowProgram, ...given.allowEnv];
  if (!given.record && (opened.length > 0 || given.allowSeen)) {
    throw new AppError('usage-invalid', {
      detail: 'A host, a program or a variable is opened for a recording only.',
      hint: 'Add --record, or let the manifest ask for it.',
    });
  }
  if (given.stdio && context.json) {
    throw new AppError('usage-invalid', {
      detail: '--stdio leaves no room for --json.',
      hint: 'Leave one out.',
    });
  }
  const workspace =
    given.workspace === undefined ? undefined : await folderAt(resolve(workingDirectory, given.workspace));
  const folders = given.folder.map((text) => readFolder(text, workingDirectory));
  const settings = given.set.length === 0 ? [] : given.set.map((text) => [text] as const);
  const { manifest } =
    settings.length === 0 ? { manifest: undefined } : await skillFiles(sandbox.driver, project);
  return {
    workspace,
    config: {
      ...Object.fromEntries(
        manifest === undefined ? [] : settings.map(([text]) => readSetting(text, manifest)),
      ),
      ...Object.fromEntries(
        await Promise.all(folders.map(async ([key, folder]) => [key, await realpath(folder)] as const)),
      ),
    },
    folders: folders.map(([key]) => key),
    record: given.record,
    allowSeen: given.allowSeen,
    network: given.allowHost.map(readAllowedHost),
    programs: given.allowProgram,
    variables: given.allowEnv,
  };
}

async function folderAt(path: string): Promise<string> {
  if (isFolder(path)) return realpath(path);
  throw new AppError('usage-invalid', { detail: `${path} is not a folder.`, hint: 'Give --workspace DIR.' });
}
