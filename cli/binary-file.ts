import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { processorOf, readElf } from '../hub/sandbox/elf.ts';
import { AppError } from '../protocol/errors.ts';
import { addFile, fileOf, type PackageFiles } from './project-files.ts';

const FIRST_LINE_BYTES = 256;

/**
 * Adds the program of a binary skill, if it can run where it is packed: an executable for Linux and this processor.
 * @throws AppError `pack-failed` saying what it is instead.
 */
export async function addBinary(files: PackageFiles, project: string, entry: string): Promise<void> {
  await addFile(files, project, entry);
  if (fileOf(files, entry).mode !== 0o755) {
    throw new AppError('pack-failed', { detail: `${entry} is not executable.`, hint: `chmod +x ${entry}` });
  }
  const elf = await readElf(join(project, entry));
  if (elf === undefined) throw await notAProgram(project, entry);
  const processor = processorOf(elf);
  if (processor === process.arch) return;
  throw new AppError('pack-failed', {
    detail: `${entry} is a program for another processor (${processor ?? `ELF machine ${elf.machine}`}) than this one, ${process.arch}.`,
    hint: 'Build it for this processor; a skill for several is published under a name for each.',
  });
}

async function notAProgram(project: string, entry: string): Promise<AppError> {
  const [, interpreter] = /^#!\s*([^\n]{1,200})/.exec(await firstBytes(join(project, entry))) ?? [];
  if (interpreter === undefined)
    return new AppError('pack-failed', {
      detail: `${entry} is no 64-bit program for Linux (ELF).`,
      hint: 'Name the compiled program in runtime.entry.',
    });
  return new AppError('pack-failed', {
    detail: `${entry} is a script for ${interpreter.trim()}, and the sandbox of a binary holds no interpreter.`,
    hint: 'Give runtime.kind "node" or "python" for a script in these languages, or name a compiled program.',
  });
}

async function firstBytes(path: string): Promise<string> {
  const file = await open(path, 'r');
  try {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(FIRST_LINE_BYTES), 0, FIRST_LINE_BYTES, 0);
    return buffer.toString('latin1', 0, bytesRead);
  } finally {
    await file.close();
  }
}
