import { describe, expect, it } from 'vitest';
import { seccompFilter } from '../../../hub/sandbox/seccomp.ts';
import { syscallsOf, type SyscallTable } from '../../../hub/sandbox/syscalls.ts';
import { verifies } from '../../support/verifies.ts';

const ALLOW = 0x7fff0000;
const KILL = 0x80000000;
const errno = (number: number) => 0x00050000 | number;
const EPERM = errno(1);
const ENOSYS = errno(38);

/** Classic BPF as the kernel runs it, as far as the filter uses it. */
function verdict(filter: Buffer, data: { audit: number; number: number; args?: readonly number[] }): number {
  const input = Buffer.alloc(64);
  input.writeUInt32LE(data.number, 0);
  input.writeUInt32LE(data.audit, 4);
  data.args?.forEach((arg, index) => input.writeBigUInt64LE(BigInt.asUintN(64, BigInt(arg)), 16 + index * 8));
  let accumulator = 0;
  for (let at = 0; at < filter.length; at += 8) {
    const [code, ifTrue, ifFalse] = [
      filter.readUInt16LE(at),
      filter.readUInt8(at + 2),
      filter.readUInt8(at + 3),
    ];
    const value = filter.readUInt32LE(at + 4);
    const jump = (holds: boolean) => (at += 8 * (holds ? ifTrue : ifFalse));
    if (code === 0x06) return value;
    if (code === 0x20) accumulator = input.readUInt32LE(value);
    else if (code === 0x54) accumulator = (accumulator & value) >>> 0;
    else if (code === 0x15) jump(accumulator === value);
    else if (code === 0x35) jump(accumulator >= value);
    else if (code === 0x45) jump((accumulator & value) !== 0);
    else throw new Error(`unknown instruction ${code}`);
  }
  throw new Error('the filter ended without a verdict');
}

describe.each(['x64', 'arm64'])('the filter for %s', (arch) => {
  const table = syscallsOf(arch) as SyscallTable;
  const filter = seccompFilter(table);
  const ask = (name: string, ...args: number[]) => {
    const number = table.numbers[name];
    if (number === undefined) throw new Error(`${arch} has no ${name}`);
    return verdict(filter, { audit: table.audit, number, args });
  };

  it('fits what the kernel takes', verifies('sandbox.system-calls'), () => {
    expect(filter.length % 8).toBe(0);
    expect(filter.length / 8).toBeLessThanOrEqual(4096);
  });

  it('ends a program that uses another calling convention', verifies('sandbox.system-calls'), () => {
    expect(verdict(filter, { audit: 0x40000003, number: 20 })).toBe(KILL);
  });

  it('refuses calls that reach the kernel’s corners', verifies('sandbox.system-calls'), () => {
    for (const name of [
      'ptrace',
      'keyctl',
      'bpf',
      'mount',
      'unshare',
      'setns',
      'io_uring_setup',
      'userfaultfd',
      'open_by_handle_at',
      'shmget',
    ]) {
      expect(ask(name), name).toBe(EPERM);
    }
  });

  it('refuses new namespaces and allows threads', verifies('sandbox.system-calls'), () => {
    expect(ask('clone', 0x10000000 | 17)).toBe(EPERM);
    expect(ask('clone', 0x40000000)).toBe(EPERM);
    expect(ask('clone', 0x3d0f00)).toBe(ALLOW);
    expect(ask('clone3')).toBe(ENOSYS);
  });

  it('allows local, TCP and UDP sockets only', verifies('sandbox.system-calls'), () => {
    expect(ask('socket', 1, 1, 0)).toBe(ALLOW);
    expect(ask('socket', 2, 0o2004001, 6)).toBe(ALLOW);
    expect(ask('socket', 10, 2, 17)).toBe(ALLOW);
    expect(ask('socket', 40, 1, 0)).toBe(errno(97));
    expect(ask('socket', 16, 3, 0)).toBe(errno(97));
    expect(ask('socket', 2, 3, 255)).toBe(errno(93));
    expect(ask('socketpair', 1, 1, 0)).toBe(ALLOW);
    expect(ask('socketpair', 30, 1, 0)).toBe(errno(97));
  });

  it(
    'has no local sockets but connected pairs where it is told to',
    verifies('sandbox.local-sockets'),
    () => {
      const without = seccompFilter(table, { localSockets: false });
      const asked = (name: string, ...args: number[]) =>
        verdict(without, { audit: table.audit, number: table.numbers[name] ?? -1, args });
      expect(asked('socket', 1, 1, 0)).toBe(errno(97));
      expect(asked('socket', 1, 0o2004002, 0)).toBe(errno(97));
      expect(asked('socket', 2, 1, 6)).toBe(ALLOW);
      expect(asked('socketpair', 1, 0o2004001, 0)).toBe(ALLOW);
      expect(asked('socketpair', 1, 5, 0)).toBe(ALLOW);
      expect(asked('socketpair', 1, 2, 0)).toBe(errno(93));
      expect(asked('socketpair', 1, 3, 0)).toBe(errno(93));
      expect(asked('socketpair', 30, 1, 0)).toBe(errno(97));
    },
  );

  it(
    'refuses files that run as their owner and reads a mode only where it counts',
    verifies('sandbox.system-calls'),
    () => {
      expect(ask('fchmod', 3, 0o4755)).toBe(EPERM);
      expect(ask('fchmod', 3, 0o1777)).toBe(ALLOW);
      expect(ask('fchmodat', 3, 0, 0o2755)).toBe(EPERM);
      expect(ask('openat', 3, 0, 0o101, 0o4755)).toBe(EPERM);
      expect(ask('openat', 3, 0, 0o20000000, 0o2755)).toBe(EPERM);
      expect(ask('openat', 3, 0, 0o101, 0o644)).toBe(ALLOW);
      expect(ask('openat', 3, 0, 0, 0o6777)).toBe(ALLOW);
      expect(ask('openat2')).toBe(ENOSYS);
    },
  );

  it(
    'refuses typing into a terminal, whatever stands in the upper half',
    verifies('sandbox.system-calls'),
    () => {
      expect(ask('ioctl', 0, 0x5412)).toBe(EPERM);
      expect(ask('ioctl', 0, 0x1_0000_5412)).toBe(EPERM);
      expect(ask('ioctl', 0, 0x5401)).toBe(ALLOW);
    },
  );

  it('knows no call that is newer than its review', verifies('sandbox.system-calls'), () => {
    expect(verdict(filter, { audit: table.audit, number: 453 })).toBe(ENOSYS);
    expect(verdict(filter, { audit: table.audit, number: 0x40000027 })).toBe(ENOSYS);
  });
});
