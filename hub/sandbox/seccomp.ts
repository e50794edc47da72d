import { LAST_REVIEWED, type SyscallTable } from './syscalls.ts';

/**
 * System calls that no skill needs and that reach the kernel's rarely used or shared corners: other
 * processes' memory, key rings, io_uring (whose work no filter sees), kernel programs, mounts,
 * namespaces, modules, clocks, file handles and shared memory that no limit counts.
 */
export const REFUSED = [
  'ptrace',
  'process_vm_readv',
  'process_vm_writev',
  'process_madvise',
  'process_mrelease',
  'kcmp',
  'pidfd_getfd',
  'keyctl',
  'add_key',
  'request_key',
  'io_uring_setup',
  'io_uring_enter',
  'io_uring_register',
  'bpf',
  'perf_event_open',
  'userfaultfd',
  'fanotify_init',
  'fanotify_mark',
  'memfd_secret',
  'mount',
  'umount2',
  'pivot_root',
  'chroot',
  'open_tree',
  'move_mount',
  'fsopen',
  'fsconfig',
  'fsmount',
  'fspick',
  'mount_setattr',
  'unshare',
  'setns',
  'name_to_handle_at',
  'open_by_handle_at',
  'init_module',
  'finit_module',
  'delete_module',
  'kexec_load',
  'kexec_file_load',
  'reboot',
  'swapon',
  'swapoff',
  'acct',
  'syslog',
  'quotactl',
  'quotactl_fd',
  'lookup_dcookie',
  'nfsservctl',
  'vhangup',
  'personality',
  'modify_ldt',
  'iopl',
  'ioperm',
  'uselib',
  'ustat',
  'sysfs',
  '_sysctl',
  'settimeofday',
  'clock_settime',
  'clock_adjtime',
  'adjtimex',
  'sethostname',
  'setdomainname',
  'vmsplice',
  'move_pages',
  'migrate_pages',
  'mbind',
  'set_mempolicy',
  'set_mempolicy_home_node',
  'mq_open',
  'mq_unlink',
  'shmget',
  'msgget',
  'semget',
] as const;

/** Calls whose arguments a filter cannot read; "no such call" makes runtimes fall back to one it can. */
export const ABSENT = ['clone3', 'openat2'] as const;

export const EPERM = 1;
export const ENOSYS = 38;
const EPROTONOSUPPORT = 93;
const EAFNOSUPPORT = 97;

export const AF_UNIX = 1;
export const AF_INET = 2;
export const AF_INET6 = 10;
export const SOCK_STREAM = 1;
export const SOCK_DGRAM = 2;
export const SOCK_SEQPACKET = 5;
export const SOCK_TYPE_MASK = 0xf;
export const IPPROTO_DEFAULT = 0;
export const IPPROTO_TCP = 6;
export const IPPROTO_UDP = 17;
export const TIOCSTI = 0x5412;
export const TIOCLINUX = 0x541c;
export const TIOCSETD = 0x5423;
/** `CLONE_NEWTIME|NEWNS|NEWCGROUP|NEWUTS|NEWIPC|NEWUSER|NEWPID|NEWNET`. */
export const CLONE_NEW_ANYTHING = 0x7e020080;
export const SETUID_OR_SETGID = 0o6000;
/** `O_CREAT` and the bit that makes `O_TMPFILE`: the flags under which a mode argument counts. */
export const CREATES_A_FILE = 0o20000100;

// struct seccomp_data: int nr; __u32 arch; __u64 instruction_pointer; __u64 args[6];
const NUMBER_OFFSET = 0;
const ARCH_OFFSET = 4;
const ARGS_OFFSET = 16;

interface Instruction {
  code: number;
  ifTrue: number;
  ifFalse: number;
  value: number;
}

const instruction = (code: number, value: number, ifTrue = 0, ifFalse = 0): Instruction => ({
  code,
  value,
  ifTrue,
  ifFalse,
});
const load = (offset: number) => instruction(0x20, offset);
/** The low half of an argument: what the kernel reads of an `int`, a mode or a flag word. */
const loadArgument = (index: number) => load(ARGS_OFFSET + 8 * index);
const mask = (bits: number) => instruction(0x54, bits);
const skipUnlessEqual = (value: number, skip: number) => instruction(0x15, value, 0, skip);
const skipIfEqual = (value: number, skip: number) => instruction(0x15, value, skip, 0);
const skipUnlessAtLeast = (value: number, skip: number) => instruction(0x35, value, 0, skip);
const skipUnlessAnyBit = (bits: number, skip: number) => instruction(0x45, bits, 0, skip);
const ALLOW = instruction(0x06, 0x7fff0000);
const KILL_PROCESS = instruction(0x06, 0x80000000);
const refuse = (errno: number) => instruction(0x06, 0x00050000 | errno);

/** What was loaded must be one of the values; otherwise the call fails with `errno`. */
function oneOf(values: readonly number[], errno: number): Instruction[] {
  return [...values.map((value, index) => skipIfEqual(value, values.length - index)), refuse(errno)];
}

/**
 * The seccomp filter of every sandbox, as the bytes that `bwrap --seccomp` takes. It is a list of
 * refusals over a reviewed range: what is newer than the review does not exist. New namespaces,
 * sockets beside local, TCP and UDP ones, typing into a terminal, and files that run as their owner
 * (set-uid, set-gid) are refused by argument.
 *
 * Without `localSockets` there are none but pairs of connected ones. A socket that lies in a granted folder
 * is reached by path from any network namespace, even where the folder is read-only, and a filter cannot read
 * paths: who listens there is a program of the host.
 */
export function seccompFilter(syscalls: SyscallTable, { localSockets = true } = {}): Buffer {
  const numbers = syscalls.numbers;
  /** `body` must end in a verdict; the number stays loaded for the rules that follow. */
  const rule = (name: string, body: readonly Instruction[]): Instruction[] => {
    const number = numbers[name];
    return number === undefined ? [] : [skipUnlessEqual(number, body.length), ...body];
  };

  const program: Instruction[] = [
    load(ARCH_OFFSET),
    skipIfEqual(syscalls.audit, 1),
    KILL_PROCESS,
    load(NUMBER_OFFSET),
    skipUnlessAtLeast(LAST_REVIEWED + 1, 1),
    refuse(ENOSYS),
    ...REFUSED.flatMap((name) => rule(name, [refuse(EPERM)])),
    ...ABSENT.flatMap((name) => rule(name, [refuse(ENOSYS)])),
    ...rule('clone', [loadArgument(0), skipUnlessAnyBit(CLONE_NEW_ANYTHING, 1), refuse(EPERM), ALLOW]),
    ...rule('ioctl', [
      loadArgument(1),
      ...[TIOCSTI, TIOCLINUX, TIOCSETD].flatMap((request) => [skipUnlessEqual(request, 1), refuse(EPERM)]),
      ALLOW,
    ]),
    ...rule('socket', socketRule(localSockets)),
    ...rule('socketpair', socketPairRule(localSockets)),
    ...rule('chmod', plainMode(1)),
    ...rule('fchmod', plainMode(1)),
    ...rule('fchmodat', plainMode(2)),
    ...rule('fchmodat2', plainMode(2)),
    ...rule('mknod', plainMode(1)),
    ...rule('mknodat', plainMode(2)),
    ...rule('creat', plainMode(1)),
    ...rule('open', plainModeWhenCreating(1)),
    ...rule('openat', plainModeWhenCreating(2)),
    ALLOW,
  ];
  return assemble(program);
}

function socketRule(localSockets: boolean): Instruction[] {
  return [
    loadArgument(0),
    ...(localSockets ? [skipUnlessEqual(AF_UNIX, 1), ALLOW] : []),
    ...oneOf([AF_INET, AF_INET6], EAFNOSUPPORT),
    loadArgument(1),
    mask(SOCK_TYPE_MASK),
    ...oneOf([SOCK_STREAM, SOCK_DGRAM], EPROTONOSUPPORT),
    loadArgument(2),
    ...oneOf([IPPROTO_DEFAULT, IPPROTO_TCP, IPPROTO_UDP], EPROTONOSUPPORT),
    ALLOW,
  ];
}

/** Datagrams of a pair may be sent to any other address, too. */
function socketPairRule(localSockets: boolean): Instruction[] {
  const types = localSockets
    ? []
    : [loadArgument(1), mask(SOCK_TYPE_MASK), ...oneOf([SOCK_STREAM, SOCK_SEQPACKET], EPROTONOSUPPORT)];
  return [loadArgument(0), ...oneOf([AF_UNIX], EAFNOSUPPORT), ...types, ALLOW];
}

/**
 * A file that runs as its owner would carry a skill's code out of the sandbox with the rights of the
 * account that owns a granted folder, root among them, as soon as anybody on the host runs it.
 */
function plainMode(argument: number): Instruction[] {
  return [loadArgument(argument), skipUnlessAnyBit(SETUID_OR_SETGID, 1), refuse(EPERM), ALLOW];
}

/** `open`: the mode follows the flags, and is noise unless the call may create a file. */
function plainModeWhenCreating(flagsArgument: number): Instruction[] {
  const check = plainMode(flagsArgument + 1);
  return [loadArgument(flagsArgument), skipUnlessAnyBit(CREATES_A_FILE, check.length), ...check, ALLOW];
}

/** struct sock_filter: __u16 code; __u8 jt; __u8 jf; __u32 k; both architectures are little-endian. */
function assemble(program: readonly Instruction[]): Buffer {
  const bytes = Buffer.alloc(program.length * 8);
  for (const [index, { code, ifTrue, ifFalse, value }] of program.entries()) {
    bytes.writeUInt16LE(code, index * 8);
    bytes.writeUInt8(ifTrue, index * 8 + 2);
    bytes.writeUInt8(ifFalse, index * 8 + 3);
    bytes.writeUInt32LE(value >>> 0, index * 8 + 4);
  }
  return bytes;
}
