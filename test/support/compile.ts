import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';

/** Compiles one C source into a file; a machine without a compiler fails the test. */
export async function compile(source: string, file: string, ...options: string[]): Promise<string> {
  await writeFile(`${file}.c`, source);
  await promisify(execFile)('gcc', ['-O1', '-o', file, `${file}.c`, ...options]);
  return file;
}

/** A program that answers whatever it is asked with this text. */
export async function answering(text: string, file: string): Promise<string> {
  return compile(`#include <stdio.h>\nint main(void) { puts(${JSON.stringify(text)}); return 0; }\n`, file);
}
