import type { Readable, Writable } from 'node:stream';
import type { EgressRule } from '../egress/egress.ts';
import type { FolderIdentity } from './folder-identity.ts';

/**
 * What one sandboxed process gets, as data: everything not named here does not exist for it.
 * Made by `plan.ts` from granted permissions, never from anything a skill says at run time.
 */
export interface SandboxPlan {
  /** For process listings and log lines, such as `dev.berth/files@1.0.0`. */
  label: string;
  /** The unpacked package on the host; `/skill` inside, read-only, the working directory. */
  packageDir: string;
  runtime: SandboxRuntime;
  /** Granted folders: absolute host path, absolute path inside. */
  mounts: readonly SandboxMount[];
  /**
   * The hub's own folder for this user and skill (`${data}`). Mounts in it may lie in the hub's home, and
   * belong to the account that the process runs under. Absent: no mount is of that kind.
   */
  dataDir?: string;
  /** Every folder is mounted read-only, `${data}` too; accounts are chosen as if it were not. */
  readOnly?: boolean;
  /** Paths inside that are fresh, bounded tmpfs folders (surface capture: `/workspace`, `/data`). */
  scratch: readonly string[];
  /** Small files that exist for this process alone, in memory: absolute path inside, content (secrets as files). */
  files?: Readonly<Record<string, string>>;
  /** The whole environment beside PATH, HOME, TMPDIR and LANG. */
  env: Readonly<Record<string, string>>;
  /** Programs outside the package that the grant names, as bare names looked up on the hub's PATH. */
  programs: readonly string[];
  /** Hosts that the grant names. Not empty means that the driver must be able to filter them. */
  network: readonly EgressRule[];
  /** For whom it runs; what it reaches goes on record under these names. Needed where `network` is not empty. */
  holder?: SandboxHolder;
  limits: { memoryMb: number; cpus: number; pids: number; diskMb: number };
  /** An admin approved that it runs without a sandbox: its paths are the host's. Only `unsandboxed.ts` starts such a plan. */
  unsandboxed?: true;
}

export interface SandboxHolder {
  skill: string;
  user: string;
  /** Whether it may use its network between calls, too. */
  background: boolean;
}

export interface SandboxRuntime {
  kind: 'node' | 'python' | 'binary';
  /** Relative to `/skill`. */
  entry: string;
  args: readonly string[];
}

export interface SandboxMount {
  source: string;
  target: string;
  mode: 'r' | 'rw';
  /** The folder an admin named, in whose real path that of `source` must lie; absent: `source` itself. */
  root?: string;
  /**
   * Which folder was granted; another one in its place is refused, and any where a single file or nothing was.
   * Absent for what the hub makes itself.
   */
  identity?: FolderIdentity | 'no folder';
}

/** A file of this machine that runs in a sandbox beside the package. */
export interface HostFile {
  /** The interpreter, a program that was granted, or a library that a binary of the package loads. */
  role: 'runtime' | 'program' | 'library';
  /** `Python`, `git`, `libc.so.6`. */
  name: string;
  /** Of an interpreter. */
  version?: string;
  /** Real path. */
  path: string;
  /** Of a granted program: `sha256:…` of what is there now. */
  digest?: string;
}

/** What a driver can hold a skill to. What a plan needs and the driver lacks is refused. */
export const CAPABILITIES = [
  'files',
  'network',
  'hostFilter',
  'syscalls',
  'memory',
  'cpu',
  'pids',
  'disk',
  'subprocess',
] as const;
export type Capability = (typeof CAPABILITIES)[number];

/** What a process counts where processors are short: one that answers, or one that lets its calls wait. */
export type Weight = 'answering' | 'background';

export interface SandboxedProcess {
  /** Process id on the host of the outermost process; killing its group ends the whole tree. */
  readonly pid: number;
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** Settles once, when every process of the sandbox is gone. Never rejects. */
  readonly exited: Promise<SandboxExit>;
  /** Weighs the whole tree from now on, where the driver can; `answering` at the start. */
  weigh(weight: Weight): void;
  /**
   * A call begins; until the answer is called, its network is open. Without `background` it is shut otherwise. Of no
   * effect where it has none.
   */
  enter(): () => void;
  /** Ends the whole process tree; resolves when it is gone. Safe to call twice. */
  kill(): Promise<void>;
}

export interface SandboxExit {
  code: number | null;
  signal: NodeJS.Signals | null;
  /** Why, in words, where the driver knows more than the code: `out of memory`. */
  reason?: string;
}

/** One thing that a driver looked at, under an id that stays the same: `seccomp`, `tool-prlimit`. */
export interface SandboxCheck {
  id: string;
  /** `bad` disables the driver; `note` is a limit of this machine that skills are not held to. */
  state: 'ok' | 'note' | 'bad';
  detail: string;
  /** What mends it; where it is `ok`, nothing. */
  remedy?: string;
}

/** What `berth doctor` and `info` say about a driver. */
export interface SandboxReport {
  driver: string;
  usable: boolean;
  /** Why not, and the one command that mends it; empty when usable. */
  problem?: { detail: string; hint: string };
  enforces: readonly Capability[];
  /** What the admin of the hub demands; what of it is not enforced keeps every skill from running. */
  requires: readonly Capability[];
  /** All that was looked at, in order. What could not be looked at because of a fault before is not there. */
  checks: readonly SandboxCheck[];
  /** Sentences such as "skills run as nobody (65534)". */
  notes: readonly string[];
}

export interface SandboxDriver {
  readonly name: string;
  /** Looks at the machine once; the result does not change while the hub runs. */
  report(): Promise<SandboxReport>;
  /**
   * Starts the plan's process.
   * @throws AppError `sandbox-unavailable` when the driver is not usable, `sandbox-cannot-enforce`
   *   naming the missing capability, `binding-refused` for a mount that may not be granted,
   *   `program-missing` for an interpreter or granted program that is not there,
   *   `skill-start-failed` when the process could not be made.
   */
  start(plan: SandboxPlan): Promise<SandboxedProcess>;
  /**
   * Makes a folder that the sandboxed account owns (a skill's `${data}`), mode 0700. One that exists stays
   * as it is; a start hands it to the account it runs under.
   */
  makeOwned(path: string): Promise<void>;
  /**
   * How a granted folder would be held, in one sentence for `info` and `doctor`
   * ("as the account nobody", "with root's file ownership, without capabilities"); undefined where it comes with
   * another of `all` that are granted.
   * @throws AppError `binding-refused` with a remedy when it cannot be granted in that mode.
   */
  describeMount(mount: SandboxMount, all?: readonly SandboxMount[]): Promise<string | undefined>;
  /**
   * What of this machine a plan would run: its interpreter or libraries, and the programs that were granted.
   * @throws AppError `program-missing` or `skill-start-failed` for what is not there or cannot be used; a start
   *   fails with the same.
   */
  hostFiles(plan: Pick<SandboxPlan, 'packageDir' | 'runtime' | 'programs'>): Promise<readonly HostFile[]>;
}
