import { AppError } from '../../protocol/errors.ts';

const MACHINES: Readonly<Record<string, string>> = { x64: 'x86_64', arm64: 'aarch64' };
/** What CPython calls a module that is compiled for one version: `_speed.cpython-311-x86_64-linux-gnu.so`. */
const TAGGED = /\.cpython-(\d)(\d+)-(\w+?)-linux-\w+\.so$/;

/**
 * Refuses a package whose compiled modules are for another Python than this hub runs skills with: Python itself would
 * only say that there is no such module.
 * @throws AppError `program-missing`.
 */
export function refuseOtherPython(files: Iterable<string>, python: { version: string; arch: string }): void {
  const [major, minor] = python.version.split('.');
  for (const file of files) {
    const [, ofMajor, ofMinor, machine] = TAGGED.exec(file) ?? [];
    if (
      ofMajor === undefined ||
      (ofMajor === major && ofMinor === minor && machine === MACHINES[python.arch])
    )
      continue;
    throw new AppError('program-missing', {
      detail: `The skill brings modules for Python ${ofMajor}.${ofMinor} on ${machine}, and skills run with Python ${python.version} on ${MACHINES[python.arch] ?? python.arch} here.`,
      hint: `Install Python ${ofMajor}.${ofMinor} and name it with "python" in hub.json, or ask the author for a version for yours.`,
    });
  }
}
