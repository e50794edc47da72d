import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Acceptance } from '../hub/admin-api.ts';
import { AppError } from '../protocol/errors.ts';
import type { Context } from './command.ts';
import { shellWord } from './shell-word.ts';
import { readStdin } from './stdin.ts';

/** What an admin says when accepting a proposal: the flags of `install` and `approve`. */
export const ACCEPTANCE_OPTIONS = {
  workspace: { type: 'text', value: 'DIR', about: 'the folder it may work in' },
  set: { type: 'list', value: 'key=value', about: 'a setting' },
  allowHost: {
    type: 'list',
    value: 'NAME[:PORT][=ADDRESS]',
    about: 'a host it may reach, where it leaves that to you; an address that is not public only this way',
  },
  secret: { type: 'list', value: 'NAME=source', about: 'a secret, from env:VAR, file:PATH or - (stdin)' },
  without: { type: 'list', value: 'PERMISSION', about: 'grant all but this, such as secrets:API_KEY' },
  allowTool: { type: 'list', value: 'TOOL', about: 'run this tool without asking; * for all others' },
  askTool: { type: 'list', value: 'TOOL', about: 'ask before each call of this tool' },
  denyTool: { type: 'list', value: 'TOOL', about: 'never run this tool' },
  unsandboxed: {
    type: 'flag',
    about: 'DANGEROUS: run it without any sandbox, where the hub allows that (allowUnsandboxed)',
  },
} as const;

/** The flags as they were given. */
export interface AcceptanceFlags {
  workspace: string | undefined;
  set: string[];
  allowHost: string[];
  secret: string[];
  without: string[];
  allowTool: string[];
  askTool: string[];
  denyTool: string[];
  unsandboxed: boolean;
}

type Answer = 'allow' | 'ask' | 'deny';

/**
 * The flags as the hub takes them. A secret's value is read here and appears nowhere else.
 * @throws AppError `usage-invalid` naming the flag.
 */
export async function acceptanceOf(context: Context, flags: AcceptanceFlags): Promise<Acceptance> {
  const config = Object.fromEntries(flags.set.map((text) => pair('--set', text, 'key=value')));
  const secrets = await secretsOf(context, flags.secret);
  const tools = toolAnswers(flags);
  return {
    ...(flags.workspace === undefined
      ? {}
      : { workspace: resolve(context.workingDirectory, flags.workspace) }),
    ...(flags.set.length === 0 ? {} : { config }),
    ...(flags.allowHost.length === 0 ? {} : { hosts: flags.allowHost }),
    ...(flags.secret.length === 0 ? {} : { secrets }),
    ...(Object.keys(tools).length === 0 ? {} : { tools }),
    ...(flags.without.length === 0 ? {} : { without: flags.without }),
    ...(flags.unsandboxed ? { unsandboxed: true } : {}),
  };
}

/** What was said as flags again, for a command that goes on from here; secrets are never repeated. */
export function acceptanceFlags({
  workspace,
  config,
  hosts,
  tools,
  without,
  secrets,
  unsandboxed,
}: Acceptance): string {
  return [
    ...(workspace === undefined ? [] : ['--workspace', shellWord(workspace)]),
    ...Object.entries(config ?? {}).flatMap(([key, value]) => ['--set', shellWord(`${key}=${value}`)]),
    ...(hosts ?? []).flatMap((host) => ['--allow-host', shellWord(host)]),
    ...Object.keys(secrets ?? {}).flatMap((name) => ['--secret', `${shellWord(name)}=env:VARIABLE`]),
    ...Object.entries(tools ?? {}).flatMap(([tool, answer]) => [`--${answer}-tool`, shellWord(tool)]),
    ...(without ?? []).flatMap((id) => ['--without', shellWord(id)]),
    ...(unsandboxed === true ? ['--unsandboxed'] : []),
  ]
    .map((word) => ` ${word}`)
    .join('');
}

function toolAnswers({ allowTool, askTool, denyTool }: AcceptanceFlags): Record<string, Answer> {
  const said: [string, Answer][] = [
    ...allowTool.map((tool): [string, Answer] => [tool, 'allow']),
    ...askTool.map((tool): [string, Answer] => [tool, 'ask']),
    ...denyTool.map((tool): [string, Answer] => [tool, 'deny']),
  ];
  const answers = new Map<string, Answer>();
  for (const [tool, answer] of said) {
    const before = answers.get(tool);
    if (before !== undefined && before !== answer) {
      throw new AppError('usage-invalid', {
        detail: `${tool} is given two answers: ${before} and ${answer}.`,
        hint: 'Choose one of --allow-tool, --ask-tool and --deny-tool for it.',
      });
    }
    answers.set(tool, answer);
  }
  return Object.fromEntries(answers);
}

async function secretsOf(context: Context, given: readonly string[]): Promise<Record<string, string>> {
  const secrets: Record<string, string> = {};
  for (const text of given) {
    // The text may hold a secret that was typed by mistake: no error repeats it.
    const [name, source] = pair('--secret', text, 'NAME=env:VAR');
    secrets[name] = await secretFrom(context, name, source);
  }
  return secrets;
}

/** A secret from where it was said to be: `env:VAR`, `file:PATH`, or `-`. @throws AppError `usage-invalid`. */
export async function secretFrom(
  context: Context,
  name: string,
  source: string,
  flag = `--secret ${name}=`,
): Promise<string> {
  if (source === '-') return readStdin(context.stdin, `the secret ${name}`);
  const [kind, where] = [source.slice(0, source.indexOf(':')), source.slice(source.indexOf(':') + 1)];
  if (kind === 'env') {
    const value = context.settings.environment[where];
    if (value) return value;
    throw new AppError('usage-invalid', {
      detail: `The environment variable ${where} for the secret ${name} is not set.`,
      hint: `export ${where}=… and run this again.`,
    });
  }
  if (kind === 'file') {
    const path = resolve(context.workingDirectory, where);
    const value = await readFile(path, 'utf8').catch(() => '');
    if (value.trim() !== '') return value.replace(/\r?\n$/, '');
    throw new AppError('usage-invalid', {
      detail: `${path}, for the secret ${name}, holds nothing that can be read.`,
    });
  }
  throw new AppError('usage-invalid', {
    detail: `The value of the secret ${name} must not stand on the command line, where others can see it.`,
    hint: `Give ${flag}env:VARIABLE, ${flag}file:PATH or ${flag}-`,
  });
}

function pair(flag: string, text: string, form: string): [string, string] {
  const at = text.indexOf('=');
  if (at > 0) return [text.slice(0, at), text.slice(at + 1)];
  throw new AppError('usage-invalid', {
    detail: `${flag} lacks a name or a value.`,
    hint: `Write ${flag} ${form}`,
  });
}
