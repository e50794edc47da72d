import { AppError } from '../errors.ts';

/** Every path in an archive begins with this; `ArchiveFile.path` is what follows it. */
export const ARCHIVE_ROOT = 'package/';

/** Segments of a path below the root, and bytes of the path with the root. */
export const PATH_LIMITS = { depth: 16, bytes: 240, segmentBytes: 100 };

const SEGMENT = /^[A-Za-z0-9._@+\- ]+$/;
// Windows opens a device for these, whatever the ending and the case.
const DEVICE = /^(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|$)/i;

/** What keeps a path (without the root) out of an archive, or `undefined` when it may stay. */
export function faultOfPath(path: string): string | undefined {
  const segments = path.split('/');
  if (segments.length > PATH_LIMITS.depth) return `lies deeper than ${PATH_LIMITS.depth} folders`;
  if (ARCHIVE_ROOT.length + path.length > PATH_LIMITS.bytes)
    return `is longer than ${PATH_LIMITS.bytes} bytes`;
  for (const segment of segments) {
    if (segment === '') return 'has an empty segment';
    if (segment === '.' || segment === '..') return 'has a segment that is not a name';
    if (segment.length > PATH_LIMITS.segmentBytes)
      return `has a name of over ${PATH_LIMITS.segmentBytes} bytes`;
    if (!SEGMENT.test(segment)) return 'has characters other than A-Z a-z 0-9 . _ @ + - and space';
    if (segment.startsWith(' ') || /[. ]$/.test(segment)) return 'has a name that some systems would alter';
    if (DEVICE.test(segment)) return 'has a name that is a device on Windows';
  }
  return undefined;
}

/** Text of hostile origin, made safe to print: ASCII, quoted, short. */
export function quoted(text: string): string {
  return JSON.stringify(text.slice(0, 120).replaceAll(/[^ -~]/g, '?'));
}

/**
 * Admits the paths of one archive in their order, and throws at the first that may not stand beside
 * those before it: `archive-path-refused` for a path that is not allowed, occurs twice, differs from another
 * only in case, or is both file and folder; `archive-not-canonical` when the order is not bytewise.
 */
export function pathGate(): (path: string) => void {
  const files = new Set<string>();
  const folders = new Map<string, string>();
  let previous = '';

  return (path) => {
    const refuse = (fault: string) =>
      new AppError('archive-path-refused', { detail: `The path ${quoted(path)} ${fault}.` });

    const fault = faultOfPath(path);
    if (fault !== undefined) throw refuse(fault);
    const key = path.toLowerCase();
    if (files.has(key)) throw refuse('occurs twice, or differs from another in case only');
    if (folders.has(key)) throw refuse('is a folder, too');
    for (let slash = path.indexOf('/'); slash > 0; slash = path.indexOf('/', slash + 1)) {
      const folder = path.slice(0, slash);
      const folderKey = folder.toLowerCase();
      if (files.has(folderKey)) throw refuse('lies below a file');
      if ((folders.get(folderKey) ?? folder) !== folder) throw refuse('spells a folder in two ways');
      folders.set(folderKey, folder);
    }
    // Paths are ASCII by now, so that comparing strings compares bytes.
    if (path < previous) {
      throw new AppError('archive-not-canonical', { detail: `The path ${quoted(path)} is out of order.` });
    }
    files.add(key);
    previous = path;
  };
}
