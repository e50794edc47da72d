import {
  ABSENT,
  AF_INET,
  AF_INET6,
  AF_UNIX,
  CLONE_NEW_ANYTHING,
  CREATES_A_FILE,
  ENOSYS,
  EPERM,
  IPPROTO_DEFAULT,
  IPPROTO_TCP,
  IPPROTO_UDP,
  REFUSED,
  SETUID_OR_SETGID,
  SOCK_DGRAM,
  SOCK_SEQPACKET,
  SOCK_STREAM,
  SOCK_TYPE_MASK,
  TIOCLINUX,
  TIOCSETD,
  TIOCSTI,
} from './seccomp.ts';
import { REVIEWED_NAMES } from './syscall-names.ts';

/** What a container engine takes as `--security-opt seccomp=FILE`. */
interface SeccompProfile {
  defaultAction: string;
  defaultErrnoRet: number;
  architectures: string[];
  syscalls: Rule[];
}

interface Rule {
  names: readonly string[];
  action: string;
  errnoRet?: number;
  args?: Condition[];
}

/** `(argument & value) === valueTwo`; all conditions of a rule must hold, and each is on another argument. */
interface Condition {
  index: number;
  op: 'SCMP_CMP_MASKED_EQ';
  value: number;
  valueTwo: number;
}

const ARCHITECTURES: Readonly<Record<string, string>> = {
  x64: 'SCMP_ARCH_X86_64',
  arm64: 'SCMP_ARCH_AARCH64',
};
const INT = 0xffff_ffff;

/**
 * The rules of `seccomp.ts` in the words of container engines: the same calls are let through under the same
 * conditions. What is refused by its arguments, and what nobody reviewed, does not exist there (`ENOSYS`). Undefined
 * for a processor that was not reviewed.
 */
export function seccompProfile(
  arch: string,
  { localSockets = true }: { localSockets?: boolean } = {},
): SeccompProfile | undefined {
  const architecture = ARCHITECTURES[arch];
  if (architecture === undefined) return undefined;
  const conditional = conditionalRules(localSockets);
  const special = new Set<string>([...REFUSED, ...ABSENT, ...conditional.flatMap(({ names }) => names)]);
  return {
    defaultAction: 'SCMP_ACT_ERRNO',
    defaultErrnoRet: ENOSYS,
    architectures: [architecture],
    syscalls: [
      { names: REFUSED, action: 'SCMP_ACT_ERRNO', errnoRet: EPERM },
      { names: ABSENT, action: 'SCMP_ACT_ERRNO', errnoRet: ENOSYS },
      { names: REVIEWED_NAMES.filter((name) => !special.has(name)), action: 'SCMP_ACT_ALLOW' },
      ...conditional,
    ],
  };
}

function conditionalRules(localSockets: boolean): Rule[] {
  const plainMode = (name: string, argument: number) => allow(name, masked(argument, SETUID_OR_SETGID, 0));
  /** The mode counts only where the call may create a file. */
  const plainModeWhenCreating = (name: string, flags: number) => [
    allow(name, masked(flags, CREATES_A_FILE, 0)),
    allow(name, masked(flags + 1, SETUID_OR_SETGID, 0)),
  ];
  return [
    allow('clone', masked(0, CLONE_NEW_ANYTHING, 0)),
    ...complementOf([TIOCSTI, TIOCLINUX, TIOCSETD]).map(([mask, value]) =>
      allow('ioctl', masked(1, mask, value)),
    ),
    ...(localSockets ? [allow('socket', masked(0, INT, AF_UNIX))] : []),
    ...[AF_INET, AF_INET6].flatMap((family) =>
      [SOCK_STREAM, SOCK_DGRAM].flatMap((type) =>
        [IPPROTO_DEFAULT, IPPROTO_TCP, IPPROTO_UDP].map((protocol) =>
          allow('socket', masked(0, INT, family), masked(1, SOCK_TYPE_MASK, type), masked(2, INT, protocol)),
        ),
      ),
    ),
    // Datagrams of a pair may be sent to any other address, too.
    ...(localSockets
      ? [allow('socketpair', masked(0, INT, AF_UNIX))]
      : [SOCK_STREAM, SOCK_SEQPACKET].map((type) =>
          allow('socketpair', masked(0, INT, AF_UNIX), masked(1, SOCK_TYPE_MASK, type)),
        )),
    plainMode('chmod', 1),
    plainMode('fchmod', 1),
    plainMode('fchmodat', 2),
    plainMode('fchmodat2', 2),
    plainMode('mknod', 1),
    plainMode('mknodat', 2),
    plainMode('creat', 1),
    ...plainModeWhenCreating('open', 1),
    ...plainModeWhenCreating('openat', 2),
  ];
}

function allow(name: string, ...args: Condition[]): Rule {
  return { names: [name], action: 'SCMP_ACT_ALLOW', args };
}

function masked(index: number, mask: number, value: number): Condition {
  return { index, op: 'SCMP_CMP_MASKED_EQ', value: mask, valueTwo: value };
}

/**
 * All 32-bit numbers but these, as pairs of a mask and the value under it: what begins as none of them does, at the
 * first bit that tells it from all. An engine's rules can only let through, and compare one argument once.
 */
export function complementOf(values: readonly number[]): [mask: number, value: number][] {
  const pairs = new Map<string, [number, number]>();
  for (const value of values) {
    for (let bit = 31; bit >= 0; bit -= 1) {
      const mask = (INT << bit) >>> 0;
      const other = ((value ^ (1 << bit)) & mask) >>> 0;
      if (values.some((one) => (one & mask) >>> 0 === other)) continue;
      pairs.set(`${mask}:${other}`, [mask, other]);
    }
  }
  return [...pairs.values()];
}
