import { basename } from 'node:path';
import { AppError } from '../../protocol/errors.ts';

/** What a command line of a client's settings starts. */
export type Launch =
  /** A package of npm, one of its programs. */
  | { kind: 'npm'; spec: string; bin: string | undefined; args: readonly string[] }
  /** A script for Node; `dropped` are flags of Node's own that it runs without from now on. */
  | { kind: 'node'; script: string; args: readonly string[]; dropped: readonly string[] }
  /** A script for Python; `dropped` are flags of Python's own that it runs without from now on. */
  | { kind: 'python'; script: string; args: readonly string[]; dropped: readonly string[] }
  /** Whatever lies at a path or on the PATH under a name. */
  | { kind: 'program'; program: string; args: readonly string[] };

/** Flags of `npx` and its like that say how to ask or to speak, not what to run. */
const QUIET_NPX = new Set([
  '-y',
  '--yes',
  '-q',
  '--quiet',
  '--silent',
  '--prefer-online',
  '--prefer-offline',
  '--bun',
]);
/** Flags of Node that change how it speaks or how much it takes, and that a sandbox decides itself. */
const IDLE_NODE =
  /^--(?:no-warnings|no-deprecation|enable-source-maps|trace-warnings|max-old-space-size=\d+)$/;
/** Flags of Python that change how it speaks or what it keeps, which a sandbox decides itself. */
const IDLE_PYTHON = /^-[uBqOEsIP]+$/;
const PYTHON = /^python[\d.]*$/;
const PYTHON_RUNNERS = /^(?:uvx?|pipx?|poetry|pdm|hatch|conda)$/;
const CONTAINERS = /^(?:docker|podman|nerdctl)$/;
const SHELLS = /^(?:sh|bash|zsh|dash|fish|powershell|pwsh)$/;

/**
 * What a command line starts, read without starting anything.
 * @throws AppError `not-adoptable` with the reason and what to do instead.
 */
export function launchOf(command: string, args: readonly string[]): Launch {
  const program = basename(command.replaceAll('\\', '/')).replace(/\.(?:cmd|exe|bat|ps1)$/i, '');
  const [first = '', second = ''] = args;
  if (program === 'cmd' && /^\/c$/i.test(first)) return launchOf(second, args.slice(2));
  if (program === 'npx' || program === 'bunx') return npmLaunch(program, args);
  if (program === 'npm' && ['exec', 'x'].includes(first)) return npmLaunch('npm exec', args.slice(1));
  if (['pnpm', 'yarn'].includes(program) && first === 'dlx')
    return npmLaunch(`${program} dlx`, args.slice(1));
  if (program === 'bun' && first === 'x') return npmLaunch('bun x', args.slice(1));
  if (program === 'node' || program === 'nodejs') return nodeLaunch(args);
  if (PYTHON.test(program)) return pythonLaunch(program, args);
  if (PYTHON_RUNNERS.test(program)) throw needsWheels(`It is started by ${program}`);
  if (CONTAINERS.test(program)) {
    throw refused(
      `It runs in a container of ${program}, of which Berth cannot make a package.`,
      'Leave it to its client, or adopt the command that runs inside the container.',
    );
  }
  if (SHELLS.test(program)) {
    throw refused(
      `It is a line for ${program}, which can start anything.`,
      'Name the program itself and its arguments.',
    );
  }
  if (['npm', 'pnpm', 'yarn', 'bun', 'deno', 'tsx', 'ts-node', 'env', 'sudo', 'wsl'].includes(program)) {
    throw refused(
      `It is started through ${[program, first].filter(Boolean).join(' ')}, and what that runs cannot be told without running it.`,
      'Name the program itself: npx, or node with a script.',
    );
  }
  return { kind: 'program', program: command, args };
}

function pythonLaunch(program: string, args: readonly string[]): Launch {
  const at = args.findIndex((word) => !IDLE_PYTHON.test(word));
  const script = args[at];
  if (at < 0 || script === undefined)
    throw refused(`It names no Python script to ${program}.`, 'Name the script.');
  if (script === '-m') throw needsWheels(`It gives ${program} the flag -m`);
  if (script.startsWith('-')) {
    throw refused(
      `It gives ${program} the flag ${script}, with which other code runs than a Python script.`,
      'Name the script alone.',
    );
  }
  return { kind: 'python', script, args: args.slice(at + 1), dropped: args.slice(0, at) };
}

/** Python packages come from an index when they are started, or from an environment that nobody locked. */
function needsWheels(how: string): AppError {
  return refused(
    `${how}: which Python packages that runs is not said with their digests, so no package can be made of it.`,
    'Make a skill of it: berth init DIR --template python, its wheels in DIR/wheels with their digests in DIR/requirements.lock, then berth publish DIR.',
  );
}

function npmLaunch(runner: string, args: readonly string[]): Launch {
  let named: string | undefined;
  let at = 0;
  for (; at < args.length; at += 1) {
    const word = args[at] ?? '';
    const inline = /^--package=(.+)$/.exec(word)?.[1];
    if (word === '--') {
      at += 1;
      break;
    }
    if (!word.startsWith('-')) break;
    if (QUIET_NPX.has(word)) continue;
    if (inline !== undefined || word === '-p' || word === '--package') {
      if (named !== undefined) throw refused(`It asks ${runner} for several packages.`, 'Name one package.');
      if (inline === undefined) at += 1;
      named = inline ?? args[at];
      continue;
    }
    throw refused(`It gives ${runner} the flag ${word}, which Berth does not know.`, 'Take the flag away.');
  }
  const word = args[at];
  const rest = args.slice(at + 1);
  if (word === undefined) throw refused(`It names no package to ${runner}.`, 'Name one.');
  const spec = named ?? word;
  refuseForeignSpec(spec);
  return { kind: 'npm', spec, bin: named === undefined ? undefined : word, args: rest };
}

/** Only what the registry of npm keeps under a name, or a folder or archive of this machine. */
function refuseForeignSpec(spec: string): void {
  const isNamed = /^(?:@[\w.~-]+\/)?[\w.~-]+(?:@[\w.~^<>=|* +-]+)?$/.test(spec);
  const isHere = /^(?:file:)?(?:\/|\.\.?\/|~\/)/.test(spec) || spec === '.';
  if (isNamed || isHere) return;
  throw refused(
    `${spec} is neither a package by name nor a folder: code from a repository or an address has no version that could be recorded.`,
    'Name a published version of the package.',
  );
}

function nodeLaunch(args: readonly string[]): Launch {
  const at = args.findIndex((word) => !IDLE_NODE.test(word));
  const script = args[at];
  if (at < 0 || script === undefined) throw refused('It names no script to node.', 'Name the script.');
  if (script.startsWith('-')) {
    throw refused(
      `It gives node the flag ${script}, with which other code runs than the script.`,
      'Name the script alone.',
    );
  }
  return { kind: 'node', script, args: args.slice(at + 1), dropped: args.slice(0, at) };
}

/** Why a server cannot be made a skill of. */
export function refused(detail: string, hint: string, cause?: unknown): AppError {
  return new AppError('not-adoptable', { detail, hint, cause });
}
