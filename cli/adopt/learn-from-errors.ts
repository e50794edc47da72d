import type { SandboxDriver } from '../../hub/sandbox/sandbox.ts';
import { callTools } from './call-tools.ts';
import type { Learn, Learned } from './learn.ts';

/**
 * Learns by trying: the tools are called with nothing granted, and what they were refused is read from their answers.
 * @throws AppError when the skill does not start.
 */
export function learnFromErrors({ driver }: { driver: SandboxDriver }): Learn {
  return async (order) => {
    const { said, ...called } = await callTools(driver, order);
    return {
      how: 'from-errors',
      ...called,
      ...refusalsIn(said),
      variables: [],
      changed: undefined,
      notes: [],
    };
  };
}

/** What Node, Python and the C library say when the kernel refuses something, in a text that may be JSON. */
export function refusalsIn(text: string): Pick<Learned, 'paths' | 'hosts' | 'programs'> {
  const writes = all(text, /EROFS: read-only file system, \w+ \\?['"](\/[^'"\\]+)/g);
  const reads = all(
    text,
    /(?:ENOENT: no such file or directory|EACCES: permission denied), \w+ \\?['"](\/[^'"\\]+)/g,
  );
  const names = all(
    text,
    /(?:getaddrinfo (?:ENOTFOUND|EAI_AGAIN)|Could not resolve host:?) ([a-z0-9.-]+\.[a-z]{2,})/gi,
  );
  const programs = all(text, /spawn ([A-Za-z0-9][A-Za-z0-9._+-]*) ENOENT/g);
  return {
    paths: [
      ...writes.map((path) => ({ path, mode: 'rw' as const })),
      ...reads.filter((path) => !writes.includes(path)).map((path) => ({ path, mode: 'r' as const })),
    ],
    hosts: names.map((host) => ({ host: host.toLowerCase() })),
    programs,
  };
}

function all(text: string, pattern: RegExp): string[] {
  return [...new Set([...text.matchAll(pattern)].map(([, found = '']) => found))].toSorted();
}
