import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { legacyCallProbe, type RawCall, returnsOf, syscallProbe } from '../../support/syscall-probe.ts';
import { verifies } from '../../support/verifies.ts';
import { answersIn, type Form, FORM_NAMES_WITH_CONTAINERS, isContainer, openForm } from './forms.ts';

const EPERM = -1;
const ENOENT = -2;
const ESRCH = -3;
const EFAULT = -14;
const ENOSYS = -38;
const EPROTONOSUPPORT = -93;
const EAFNOSUPPORT = -97;

const AF_UNIX = 1;
const AF_INET = 2;
const AF_NETLINK = 16;
const AF_PACKET = 17;
const AF_ALG = 38;
const AF_VSOCK = 40;
const STREAM = 1;
const DATAGRAM = 2;
const RAW = 3;
const CLONE_NEWUSER = 0x10000000;
const CLONE_NEWNET = 0x40000000;
const SETUID_MODE = 0o4755;
const O_CREAT_WRONLY = 0o101;
const AT_FDCWD = -100;
const text = (value: string) => Buffer.from(`${value}\0`);

const X32 = 'uses the second numbering of x64 (x32)';

/** Linux x64: each call with the one answer it must get. */
const CALLS: Readonly<Record<string, RawCall & { returns: number }>> = {
  'opens a hypervisor socket (AF_VSOCK)': { number: 41, args: [AF_VSOCK, STREAM, 0], returns: EAFNOSUPPORT },
  'opens a netlink socket': { number: 41, args: [AF_NETLINK, RAW, 0], returns: EAFNOSUPPORT },
  'opens a packet socket': { number: 41, args: [AF_PACKET, RAW, 0], returns: EAFNOSUPPORT },
  'opens a crypto socket (AF_ALG)': { number: 41, args: [AF_ALG, 5, 0], returns: EAFNOSUPPORT },
  // The plan has a folder of the host, in which a socket of somebody else may lie.
  'opens a local socket': { number: 41, args: [AF_UNIX, STREAM, 0], returns: EAFNOSUPPORT },
  'opens a local datagram socket': { number: 41, args: [AF_UNIX, DATAGRAM, 0], returns: EAFNOSUPPORT },
  'makes a pair whose datagrams may go anywhere': {
    number: 53,
    args: [AF_UNIX, DATAGRAM, 0, Buffer.alloc(8)],
    returns: EPROTONOSUPPORT,
  },
  'opens a raw socket': { number: 41, args: [AF_INET, RAW, 1], returns: EPROTONOSUPPORT },
  'opens a ping socket': { number: 41, args: [AF_INET, DATAGRAM, 1], returns: EPROTONOSUPPORT },
  'opens an SCTP socket': { number: 41, args: [AF_INET, STREAM, 132], returns: EPROTONOSUPPORT },
  'makes a user namespace (unshare)': { number: 272, args: [CLONE_NEWUSER], returns: EPERM },
  'makes a network namespace (unshare)': { number: 272, args: [CLONE_NEWNET], returns: EPERM },
  'makes a user namespace (clone)': { number: 56, args: [CLONE_NEWUSER | 17, 0, 0, 0, 0], returns: EPERM },
  'makes a user namespace (clone3)': { number: 435, args: [Buffer.alloc(88), 88], returns: ENOSYS },
  'joins a namespace': { number: 308, args: [0, 0], returns: EPERM },
  mounts: { number: 165, args: [text('none'), text('/tmp'), text('tmpfs'), 0, 0], returns: EPERM },
  'unmounts /proc': { number: 166, args: [text('/proc'), 2], returns: EPERM },
  'mounts by the new calls': { number: 430, args: [text('tmpfs'), 0], returns: EPERM },
  'clones a mount': { number: 428, args: [AT_FDCWD, text('/'), 1], returns: EPERM },
  'changes a mount': { number: 442, args: [AT_FDCWD, text('/'), 0, Buffer.alloc(32), 32], returns: EPERM },
  'changes its root': { number: 161, args: [text('/tmp')], returns: EPERM },
  'pivots its root': { number: 155, args: [text('/tmp'), text('/tmp')], returns: EPERM },
  'traces processes': { number: 101, args: [16, 1, 0, 0], returns: EPERM },
  'reads the memory of another process': { number: 310, args: [1, 0, 0, 0, 0, 0], returns: EPERM },
  'writes the memory of another process': { number: 311, args: [1, 0, 0, 0, 0, 0], returns: EPERM },
  'takes a descriptor of another process': { number: 438, args: [3, 0, 0], returns: EPERM },
  'compares processes': { number: 312, args: [1, 2, 0, 0, 0], returns: EPERM },
  'joins a session key ring': { number: 250, args: [1, 0, 0, 0, 0], returns: EPERM },
  'reads the key ring of the user': { number: 250, args: [11, -4, 0, 0, 0], returns: EPERM },
  'adds a key': { number: 248, args: [text('user'), text('k'), text('v'), 1, -4], returns: EPERM },
  'requests a key': { number: 249, args: [text('user'), text('k'), 0, 0], returns: EPERM },
  'sets up io_uring': { number: 425, args: [8, Buffer.alloc(120)], returns: EPERM },
  'enters io_uring': { number: 426, args: [0, 0, 0, 0, 0, 0], returns: EPERM },
  'loads a kernel program (bpf)': { number: 321, args: [5, 0, 0], returns: EPERM },
  'opens performance counters': { number: 298, args: [Buffer.alloc(128), 0, -1, -1, 0], returns: EPERM },
  'catches page faults (userfaultfd)': { number: 323, args: [1], returns: EPERM },
  'watches file systems (fanotify)': { number: 300, args: [0, 0], returns: EPERM },
  'opens a file by handle': { number: 304, args: [AT_FDCWD, Buffer.alloc(16), 0], returns: EPERM },
  'makes a handle for a file': {
    number: 303,
    args: [AT_FDCWD, text('/'), Buffer.alloc(144), Buffer.alloc(8), 0],
    returns: EPERM,
  },
  'loads a module': { number: 175, args: [0, 0, text('')], returns: EPERM },
  'loads another kernel': { number: 246, args: [0, 0, 0, 0], returns: EPERM },
  'restarts the machine': { number: 169, args: [0xfee1dead, 672274793, 0x89abcdef, 0], returns: EPERM },
  'sets the clock': { number: 164, args: [Buffer.alloc(16), 0], returns: EPERM },
  'adjusts the clock': { number: 305, args: [0, Buffer.alloc(208)], returns: EPERM },
  'names the machine': { number: 170, args: [text('evil'), 4], returns: EPERM },
  'reads the kernel log': { number: 103, args: [3, Buffer.alloc(64), 64], returns: EPERM },
  'switches process accounting': { number: 163, args: [0], returns: EPERM },
  'makes shared memory that no limit counts': { number: 29, args: [0, 1 << 20, 0o1600], returns: EPERM },
  'makes memory that is hidden from the kernel': { number: 447, args: [0], returns: EPERM },
  'drops address randomisation': { number: 135, args: [0x0040000], returns: EPERM },
  'types into a terminal (TIOCSTI)': { number: 16, args: [0, 0x5412, text('x')], returns: EPERM },
  'types by way of the console (TIOCLINUX)': {
    number: 16,
    args: [0, 0x541c, text('\u0003')],
    returns: EPERM,
  },
  'types with a padded request': { number: 16, args: [0, 0x1_0000_5412n, text('x')], returns: EPERM },
  'makes a set-uid file (openat)': {
    number: 257,
    args: [AT_FDCWD, text('/workspace/a'), O_CREAT_WRONLY, SETUID_MODE],
    returns: EPERM,
  },
  'makes a set-uid file (open)': {
    number: 2,
    args: [text('/workspace/b'), O_CREAT_WRONLY, SETUID_MODE],
    returns: EPERM,
  },
  'makes a set-uid file (creat)': { number: 85, args: [text('/workspace/c'), SETUID_MODE], returns: EPERM },
  'makes a set-uid file (openat2)': {
    number: 437,
    args: [AT_FDCWD, text('/workspace/d'), Buffer.alloc(24), 24],
    returns: ENOSYS,
  },
  'makes a set-gid file (fchmodat)': {
    number: 268,
    args: [AT_FDCWD, text('/workspace'), 0o2755],
    returns: EPERM,
  },
  'makes a set-gid file (fchmodat2)': {
    number: 452,
    args: [AT_FDCWD, text('/workspace'), 0o2755, 0],
    returns: EPERM,
  },
  'makes a device': { number: 133, args: [text('/workspace/disk'), 0o60600, 0xfe00], returns: EPERM },
  [X32]: { number: 0x40000000 + 39, returns: ENOSYS },
  'uses calls newer than the filter': { number: 462, args: [0, 0, 0], returns: ENOSYS },
};

/** What must work, so that a filter which refuses everything does not pass. */
const CONTROLS: Readonly<Record<string, RawCall & { returns: (value: number) => boolean }>> = {
  'asks for its number': { number: 39, returns: (value) => value > 0 },
  'makes a pair of connected local sockets': {
    number: 53,
    args: [AF_UNIX, STREAM | 0o2004000, 0, Buffer.alloc(8)],
    returns: (value) => value === 0,
  },
  'opens a TCP socket': { number: 41, args: [AF_INET, STREAM | 0o2004000, 6], returns: (value) => value > 2 },
  'opens a file that is not there': {
    number: 2,
    args: [text('/nothing'), 0, 0],
    returns: (value) => value === ENOENT,
  },
  'makes a plain file': {
    number: 85,
    args: [text('/workspace/plain'), 0o644],
    returns: (value) => value > 2,
  },
  'opens with noise where no mode is read': {
    number: 2,
    args: [text('/skill/attack'), 0, 0o6777],
    returns: (value) => value > 2,
  },
  'asks a terminal question': {
    number: 16,
    args: [0, 0x5413, 0],
    returns: (value) => value !== EPERM && value !== EFAULT,
  },
};

describe.each(FORM_NAMES_WITH_CONTAINERS)('raw system calls, the hub being %s', (name) => {
  let form: Form;
  let returned: Map<string, number>;

  beforeAll(async () => {
    form = await openForm(name);
    const hubSignal = { number: 62, args: [form.hubPid, 0] };
    const { [X32]: x32, ...others } = CALLS;
    const asked = isContainer(name) ? others : CALLS;
    const calls = [...Object.entries({ ...asked, ...CONTROLS }), ['signals the hub', hubSignal]] as [
      string,
      RawCall,
    ][];
    const { stdout, stderr, exit } = await form.run(
      await binary(syscallProbe(calls.map(([, call]) => call))),
    );
    expect({ stderr, exit }).toEqual({ stderr: '', exit: { code: 0, signal: null } });
    const values = returnsOf(stdout);
    returned = new Map(calls.map(([title], index) => [title, values[index] ?? Number.NaN]));
    // Nobody there knows the other numbering: the program is ended.
    if (!isContainer(name) || x32 === undefined) return;
    const ended = await form.run(await binary(syscallProbe([x32])));
    expect(ended.exit).toEqual({ code: null, signal: 'SIGSYS' });
    returned.set(X32, ENOSYS);
  });
  afterAll(() => form.close());

  const binary = (program: Buffer) =>
    form.plan({ attack: program }, { runtime: { kind: 'binary', entry: 'attack', args: [] } });

  it.each(Object.entries(CALLS))('%s: refused', verifies('sandbox.system-calls'), (title, { returns }) => {
    expect(answersIn(name, [returns], ENOSYS)).toContain(returned.get(title));
  });

  it('signals the hub: not there', verifies('sandbox.system-calls'), () => {
    expect(returned.get('signals the hub')).toBe(ESRCH);
  });

  it.each(Object.entries(CONTROLS))('%s: works', verifies('sandbox.system-calls'), (title, { returns }) => {
    expect(returned.get(title)).toSatisfy(returns);
  });

  it('a call by the 32-bit convention ends the program', verifies('sandbox.system-calls'), async () => {
    const { exit } = await form.run(await binary(legacyCallProbe()));
    expect(exit).toEqual({ code: null, signal: 'SIGSYS' });
  });
});
