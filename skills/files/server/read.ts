import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import * as z from 'zod';
import {
  cutAtCharacter,
  decodeExactly,
  decodeForShow,
  lineEndingOf,
  looksBinary,
  shortRevision,
} from './text.ts';
import type { Place, Workspace } from './workspace.ts';

/** The revision names the whole content, so the whole file is read; this keeps that under a few seconds. */
const MOST_FILE_BYTES = 512 * 1024 * 1024;
const DEFAULT_BYTES = 64 * 1024;
const MOST_BYTES = 512 * 1024;
const CHUNK_BYTES = 1024 * 1024;
const NEWLINE = 0x0a;

export const readInput = z.strictObject({
  path: z.string().describe('File to read, relative to the workspace root.'),
  startLine: z.int().min(1).default(1).describe('First line, counted from 1.'),
  lines: z.int().min(1).optional().describe('How many lines. Default: as many as fit in maxBytes.'),
  maxBytes: z.int().min(64).max(MOST_BYTES).default(DEFAULT_BYTES).describe('Most bytes of text to answer.'),
});

export const readOutput = z.object({
  path: z.string(),
  revision: z.string().describe('Names this exact content; hand it to write or edit as ifRevision.'),
  sizeBytes: z.int(),
  encoding: z.enum(['utf-8', 'unknown', 'binary']),
  lineEnding: z.enum(['lf', 'crlf', 'mixed', 'none']),
  totalLines: z.int(),
  startLine: z.int(),
  endLine: z.int().describe('Last line answered; below startLine when there is none.'),
  nextLine: z.int().optional().describe('Where to go on reading, when there is more.'),
  truncated: z.boolean(),
  text: z.string(),
});

/** A range of lines of a file of any reasonable size, in little memory, with the revision of the whole. */
export async function read(
  workspace: Workspace,
  args: z.output<typeof readInput>,
  signal: AbortSignal,
): Promise<z.output<typeof readOutput>> {
  const place = await workspace.target(args.path);
  const file = await openFile(place);
  try {
    const { size } = await file.stat();
    if (size > MOST_FILE_BYTES) {
      throw new Error(
        `"${place.path}" has ${size} bytes, more than ${MOST_FILE_BYTES}. Use "search" to find the part.`,
      );
    }
    const wanted = {
      first: args.startLine,
      last: args.startLine + (args.lines ?? Infinity) - 1,
      bytes: args.maxBytes,
    };
    return describe(place, wanted.first, await scan(file, wanted, signal));
  } finally {
    await file.close();
  }
}

/** Opens a regular file. A fifo or device is refused, and opened without waiting for whoever is at its other end. */
export async function openFile(place: Place): Promise<FileHandle> {
  const file = await open(place.absolute, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW);
  const stats = await file.stat();
  if (stats.isFile()) return file;
  await file.close();
  if (stats.isDirectory())
    throw new Error(`"${place.path}" is a folder. Use the tool "list" to see what is in it.`);
  throw new Error(`"${place.path}" is not a regular file.`);
}

interface Wanted {
  readonly first: number;
  readonly last: number;
  readonly bytes: number;
}

interface Scanned {
  readonly taken: Buffer;
  readonly cut: boolean;
  readonly totalLines: number;
  readonly size: number;
  readonly binary: boolean;
  readonly revision: string;
}

/** Reads through the file once: hashes all of it, counts its lines, and keeps the bytes of the wanted ones. */
async function scan(file: FileHandle, wanted: Wanted, signal: AbortSignal): Promise<Scanned> {
  const hash = createHash('sha256');
  const kept: Buffer[] = [];
  let keptBytes = 0;
  let line = 1;
  let size = 0;
  let binary = false;
  let endsInNewline = true;
  for (const chunk = Buffer.allocUnsafe(CHUNK_BYTES); ;) {
    signal.throwIfAborted();
    const { bytesRead } = await file.read(chunk, 0, CHUNK_BYTES, size);
    if (bytesRead === 0) break;
    const bytes = chunk.subarray(0, bytesRead);
    hash.update(bytes);
    binary ||= size === 0 && looksBinary(bytes);
    size += bytesRead;
    endsInNewline = bytes[bytesRead - 1] === NEWLINE;
    for (let from = 0; from < bytesRead;) {
      const newline = bytes.indexOf(NEWLINE, from);
      const to = newline === -1 ? bytesRead : newline + 1;
      if (line >= wanted.first && line <= wanted.last && keptBytes <= wanted.bytes) {
        // One byte more than is wanted is enough to know that there is more.
        const piece = Buffer.from(bytes.subarray(from, Math.min(to, from + wanted.bytes + 1 - keptBytes)));
        kept.push(piece);
        keptBytes += piece.length;
      }
      if (newline !== -1) line += 1;
      from = to;
    }
  }
  return {
    taken: Buffer.concat(kept),
    cut: keptBytes > wanted.bytes,
    totalLines: endsInNewline ? line - 1 : line,
    size,
    binary,
    revision: shortRevision(hash.digest('hex')),
  };
}

function describe(place: Place, startLine: number, found: Scanned): z.output<typeof readOutput> {
  const { revision, size: sizeBytes, totalLines } = found;
  const about = { path: place.path, revision, sizeBytes, totalLines, startLine };
  if (found.binary) {
    return {
      ...about,
      encoding: 'binary',
      lineEnding: 'none',
      endLine: startLine - 1,
      truncated: sizeBytes > 0,
      text: '',
    };
  }
  if (startLine > Math.max(totalLines, 1)) {
    throw new Error(`"${place.path}" has ${totalLines} lines; line ${startLine} is past its end.`);
  }
  const bytes = found.cut ? wholeLines(found.taken) : found.taken;
  const exact = decodeExactly(bytes);
  const text = decodeForShow(bytes);
  const endLine = startLine + countLines(bytes) - 1;
  const more = endLine < totalLines;
  return {
    ...about,
    encoding: exact === undefined ? 'unknown' : 'utf-8',
    lineEnding: lineEndingOf(text),
    endLine,
    ...(more ? { nextLine: endLine + 1 } : {}),
    truncated: more || (found.cut && bytes.at(-1) !== NEWLINE),
    text,
  };
}

/** Ends a cut at a line break, or inside the line where that one line alone is longer than allowed. */
function wholeLines(taken: Buffer): Buffer {
  const withoutExtra = taken.length - 1;
  const newline = taken.lastIndexOf(NEWLINE, withoutExtra - 1);
  return newline === -1 ? cutAtCharacter(taken, withoutExtra) : taken.subarray(0, newline + 1);
}

function countLines(bytes: Buffer): number {
  let lines = 0;
  for (let at = bytes.indexOf(NEWLINE); at !== -1; at = bytes.indexOf(NEWLINE, at + 1)) lines += 1;
  return bytes.length > 0 && bytes.at(-1) !== NEWLINE ? lines + 1 : lines;
}

/** The text itself, and a last line that says what is missing. */
export function readText(result: z.output<typeof readOutput>): string {
  if (result.encoding === 'binary')
    return `"${result.path}" is binary (${result.sizeBytes} bytes); not shown.`;
  const notes: string[] = [];
  if (result.encoding === 'unknown')
    notes.push('not valid UTF-8: the characters shown as \uFFFD are guesses');
  if (result.nextLine !== undefined) {
    notes.push(
      `lines ${result.startLine}-${result.endLine} of ${result.totalLines}; go on with startLine ${result.nextLine}`,
    );
  }
  if (result.truncated && !result.text.endsWith('\n')) notes.push('the last line is cut; raise maxBytes');
  return notes.length === 0 ? result.text : `${result.text}\n[${notes.join('; ')}]`;
}
