import { execFile } from 'node:child_process';
import { access, constants, readFile, stat } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { promisify } from 'node:util';
import type { SandboxCheck } from './sandbox.ts';
import { syscallsOf } from './syscalls.ts';

/** What of a machine says whether bubblewrap can be used at all. */
export interface PrerequisiteFacts {
  /** Linux, with its /proc. */
  linux: boolean;
  /** `process.arch`, and whether the system call filter knows it. */
  arch: string;
  archKnown: boolean;
  root: boolean;
  /** Where bubblewrap is; undefined when it is nowhere on the PATH. */
  bwrap: string | undefined;
  /** Options that this bubblewrap lacks. */
  lacking: readonly string[];
  /** Programs beside it that are not on the PATH: name, and the package that holds it. */
  missing: Readonly<Record<string, string>>;
  /** How packages are installed here: `apt-get install -y`. */
  installer: string;
}

/** What keeps a bubblewrap that is there from working, as far as the kernel tells. */
export interface ObstacleFacts {
  root: boolean;
  bwrap: boolean;
  installer: string;
  /** `kernel.apparmor_restrict_unprivileged_userns`, `kernel.unprivileged_userns_clone`, `user.max_user_namespaces`; '' where there is none. */
  apparmorRestricts: string;
  usernsClone: string;
  maxUserNamespaces: string;
  inContainer: boolean;
  /** The hub itself runs under a seccomp filter. */
  filtered: boolean;
}

const NEEDED_OPTIONS = ['--args', '--seccomp', '--json-status-fd', '--size', '--perms', '--die-with-parent'];

/** Programs beside bubblewrap that the driver itself starts, and the packages that hold them. */
const TOOLS = { sh: 'dash', grep: 'grep', prlimit: 'util-linux' };
const ROOT_TOOLS = { setpriv: 'util-linux' };

const INSTALLERS = {
  'apt-get': 'apt-get install -y',
  dnf: 'dnf install -y',
  apk: 'apk add',
  pacman: 'pacman -S --noconfirm',
  zypper: 'zypper install -y',
} as const;

/** Each thing that bubblewrap takes, and what to do where it is missing. Without one the ones after it say nothing. */
export function prerequisiteChecks(facts: PrerequisiteFacts): SandboxCheck[] {
  const install = (name: string) => `${facts.root ? '' : 'sudo '}${facts.installer} ${name}`;
  const check = (id: string, ok: boolean, good: string, bad: string, remedy: string): SandboxCheck =>
    ok ? { id, state: 'ok', detail: good } : { id, state: 'bad', detail: bad, remedy };
  const platform = check(
    'platform',
    facts.linux,
    'This is Linux.',
    'The bubblewrap sandbox needs Linux, with /proc.',
    'Run the hub on Linux, or in a Linux virtual machine.',
  );
  if (!facts.linux) return [platform];
  const missing = new Map(Object.entries(facts.missing));
  return [
    platform,
    check(
      'processor',
      facts.archKnown,
      `The system call filter knows this processor (${facts.arch}).`,
      `There is no system call filter for this processor (${facts.arch}).`,
      'Run the hub on x64 or arm64.',
    ),
    check(
      'bubblewrap',
      facts.bwrap !== undefined,
      `bubblewrap is ${facts.bwrap}.`,
      'bubblewrap (bwrap) is not on the PATH, so there is no sandbox to run skills in.',
      install('bubblewrap'),
    ),
    ...(facts.bwrap === undefined
      ? []
      : [
          check(
            'bubblewrap-version',
            facts.lacking.length === 0,
            'It has every option that the sandbox uses.',
            `${facts.bwrap} is too old: it lacks ${facts.lacking.join(', ')}.`,
            install('bubblewrap'),
          ),
        ]),
    ...Object.keys({ ...TOOLS, ...(facts.root ? ROOT_TOOLS : {}) }).map((name) =>
      check(
        `tool-${name}`,
        !missing.has(name),
        `${name} is on the PATH.`,
        `${name} is not on the PATH; the sandbox needs it.`,
        install(missing.get(name) ?? name),
      ),
    ),
  ];
}

/** The command that mends a sandbox which is there but does not hold or start. */
export function remedyFor(facts: ObstacleFacts): string {
  const sudo = facts.root ? '' : 'sudo ';
  if (!facts.root && facts.apparmorRestricts === '1') {
    const profile =
      'abi <abi/4.0>,\\ninclude <tunables/global>\\nprofile bwrap /usr/bin/bwrap flags=(unconfined) {\\n  userns,\\n}\\n';
    return `AppArmor keeps bwrap from making user namespaces. Allow it: printf '${profile}' | sudo tee /etc/apparmor.d/bwrap && sudo systemctl reload apparmor`;
  }
  if (!facts.root && facts.usernsClone === '0') return 'sudo sysctl -w kernel.unprivileged_userns_clone=1';
  if (facts.maxUserNamespaces === '0') return `${sudo}sysctl -w user.max_user_namespaces=15000`;
  if (facts.inContainer) {
    return facts.filtered && !facts.root
      ? 'The seccomp profile of this container refuses namespaces. Start it with --security-opt seccomp=unconfined --security-opt systempaths=unconfined, or run the hub outside of it.'
      : 'Start the container with --privileged, or run the hub outside of it.';
  }
  return facts.bwrap
    ? 'Run `bwrap --unshare-all --ro-bind / / true`; what it prints is what the system refuses.'
    : `${sudo}${facts.installer} bubblewrap`;
}

/** Looks for bubblewrap and the programs beside it; `help` is what it says about its options. */
export async function lookForPrerequisites(path: string): Promise<PrerequisiteFacts & { help: string }> {
  const root = process.geteuid?.() === 0;
  const bwrap = await executable('bwrap', path);
  const help = bwrap === undefined ? '' : await helpOf(bwrap);
  const missing: Record<string, string> = {};
  for (const [name, from] of Object.entries({ ...TOOLS, ...(root ? ROOT_TOOLS : {}) }))
    if ((await executable(name, path)) === undefined) missing[name] = from;
  return {
    linux: process.platform === 'linux' && (await exists('/proc/self/stat')),
    arch: process.arch,
    archKnown: syscallsOf(process.arch) !== undefined,
    root,
    bwrap,
    help,
    lacking: NEEDED_OPTIONS.filter((option) => !help.includes(`${option} `)),
    missing,
    installer: await installerOf(path),
  };
}

async function helpOf(bwrap: string): Promise<string> {
  const { stdout } = await promisify(execFile)(bwrap, ['--help'], { env: {} }).catch(() => ({ stdout: '' }));
  return stdout;
}

/** Looks for what may stand in the way of namespaces. */
export async function lookForObstacles(path: string): Promise<ObstacleFacts> {
  const setting = async (name: string) =>
    (await readFile(`/proc/sys/${name}`, 'utf8').catch(() => '')).trim();
  const status = await readFile('/proc/self/status', 'latin1').catch(() => '');
  return {
    root: process.geteuid?.() === 0,
    bwrap: (await executable('bwrap', path)) !== undefined,
    installer: await installerOf(path),
    apparmorRestricts: await setting('kernel/apparmor_restrict_unprivileged_userns'),
    usernsClone: await setting('kernel/unprivileged_userns_clone'),
    maxUserNamespaces: await setting('user/max_user_namespaces'),
    inContainer: (await exists('/.dockerenv')) || (await exists('/run/.containerenv')),
    filtered: /^Seccomp:\s+2$/m.test(status),
  };
}

/** How a package is installed here; Debian's way where nothing is found. */
export async function installerOf(path: string): Promise<string> {
  for (const [installer, command] of Object.entries(INSTALLERS))
    if ((await executable(installer, path)) !== undefined) return command;
  return INSTALLERS['apt-get'];
}

/** The command that installs a package of the system. */
export async function installHint(name: string, path: string, root: boolean): Promise<string> {
  return `${root ? '' : 'sudo '}${await installerOf(path)} ${name}`;
}

/** The first program of that name on a PATH. */
export async function executable(name: string, path: string): Promise<string | undefined> {
  for (const folder of path.split(':').filter(isAbsolute)) {
    const file = join(folder, name);
    const usable = await access(file, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (usable && (await stat(file)).isFile()) return file;
  }
  return undefined;
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
