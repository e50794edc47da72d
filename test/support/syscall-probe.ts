/** One raw system call: its number and up to six arguments; bytes are passed by address. */
export interface RawCall {
  number: number;
  args?: readonly (number | bigint | Uint8Array)[];
}

const BASE = 0x400000n;
const HEADERS_SIZE = 64 + 56;
/** `mov <register>, imm64` for the argument registers in order: rdi, rsi, rdx, r10, r8, r9. */
const MOV_ARGUMENT = [
  [0x48, 0xbf],
  [0x48, 0xbe],
  [0x48, 0xba],
  [0x49, 0xba],
  [0x49, 0xb8],
  [0x49, 0xb9],
] as const;
const MOV_RAX = [0x48, 0xb8];
const MOV_RBX = [0x48, 0xbb];
const SYSCALL = [0x0f, 0x05];
const STORE_RAX_AT_RBX = [0x48, 0x89, 0x03];
const SYS_WRITE = 1;
const SYS_EXIT_GROUP = 231;

/**
 * A static x86-64 program, assembled here so that no compiler is needed: it makes the calls in order,
 * writes what each returned to standard output (8 bytes each, little-endian) and ends with 0.
 */
export function syscallProbe(calls: readonly RawCall[]): Buffer {
  if (process.arch !== 'x64')
    throw new Error(`the system call probe is written for x64, this is ${process.arch}`);
  // Addresses depend on the length of the code, which does not depend on them: lay out twice.
  const length = code(calls, 0n).length;
  const dataAt = BASE + BigInt(HEADERS_SIZE + length);
  const blobs = calls.flatMap(({ args = [] }) => args.filter((arg) => arg instanceof Uint8Array));
  const body = Buffer.concat([code(calls, dataAt), Buffer.alloc(calls.length * 8), ...blobs]);
  return Buffer.concat([headers(HEADERS_SIZE + body.length), body]);
}

/** A program that calls the kernel by the 32-bit convention (`int 0x80`, getpid), then ends with 0. */
export function legacyCallProbe(): Buffer {
  const body = Buffer.from([0xb8, 20, 0, 0, 0, 0xcd, 0x80, ...call(SYS_EXIT_GROUP, [0n])]);
  return Buffer.concat([headers(HEADERS_SIZE + body.length), body]);
}

/** What the calls returned; a failure is its error number, negative. */
export function returnsOf(output: Buffer): number[] {
  return Array.from({ length: output.length / 8 }, (_, index) => Number(output.readBigInt64LE(index * 8)));
}

function code(calls: readonly RawCall[], dataAt: bigint): Buffer {
  const bytes: number[] = [];
  let blobAt = dataAt + BigInt(calls.length * 8);
  calls.forEach(({ number, args = [] }, index) => {
    const values = args.map((arg) => {
      if (!(arg instanceof Uint8Array)) return BigInt.asUintN(64, BigInt(arg));
      const at = blobAt;
      blobAt += BigInt(arg.length);
      return at;
    });
    bytes.push(
      ...call(number, values),
      ...MOV_RBX,
      ...imm64(dataAt + BigInt(index * 8)),
      ...STORE_RAX_AT_RBX,
    );
  });
  bytes.push(...call(SYS_WRITE, [1n, dataAt, BigInt(calls.length * 8)]), ...call(SYS_EXIT_GROUP, [0n]));
  return Buffer.from(bytes);
}

function call(number: number, args: readonly bigint[]): number[] {
  const loads = MOV_ARGUMENT.flatMap((opcode, index) => [...opcode, ...imm64(args[index] ?? 0n)]);
  return [...loads, ...MOV_RAX, ...imm64(BigInt(number)), ...SYSCALL];
}

function imm64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt.asUintN(64, value));
  return bytes;
}

/** ELF header and one program header: the whole file, readable, writable and executable. */
function headers(size: number): Buffer {
  const bytes = Buffer.alloc(HEADERS_SIZE);
  Buffer.from([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]).copy(bytes);
  bytes.writeUInt16LE(2, 16); // ET_EXEC
  bytes.writeUInt16LE(62, 18); // EM_X86_64
  bytes.writeUInt32LE(1, 20);
  bytes.writeBigUInt64LE(BASE + BigInt(HEADERS_SIZE), 24); // entry
  bytes.writeBigUInt64LE(64n, 32); // program headers
  bytes.writeUInt16LE(64, 52);
  bytes.writeUInt16LE(56, 54);
  bytes.writeUInt16LE(1, 56);
  bytes.writeUInt32LE(1, 64); // PT_LOAD
  bytes.writeUInt32LE(7, 68);
  bytes.writeBigUInt64LE(0n, 72);
  bytes.writeBigUInt64LE(BASE, 80);
  bytes.writeBigUInt64LE(BASE, 88);
  bytes.writeBigUInt64LE(BigInt(size), 96);
  bytes.writeBigUInt64LE(BigInt(size), 104);
  bytes.writeBigUInt64LE(0x1000n, 112);
  return bytes;
}
