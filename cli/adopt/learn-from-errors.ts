import { capturePlan } from '../../hub/sandbox/plan.ts';
import { connect } from '../../hub/runner/connect.ts';
import { DEFAULT_RUNNER_LIMITS } from '../../hub/runner/runner.ts';
import type { SandboxDriver } from '../../hub/sandbox/sandbox.ts';
import { systemClock } from '../../hub/clock.ts';
import { AppError } from '../../protocol/errors.ts';
import { createLogger } from '../../protocol/node/logger.ts';
import { berthVersion } from '../version.ts';
import type { Learn, LearnCall, Learned } from './learn.ts';
import { sampleArguments } from './sample.ts';

const MAX_CALLS = 64;
const CALL_TIMEOUT_MS = 3_000;
const AT_ONCE = 8;
const MAX_TEXT_CHARS = 64 * 1024;

/**
 * Learns by trying: the skill runs with nothing granted (scratch folders, no network, made-up secrets), its tools are
 * called, and what they were refused is read from their answers. What a tool does to a scratch folder is gone with it.
 * @throws AppError when the skill does not start.
 */
export function learnFromErrors({ driver }: { driver: SandboxDriver }): Learn {
  return async ({ packageDir, manifest, surface, calls }) => {
    const { runtime } = manifest;
    if (runtime.kind === 'prompt-only' || runtime.kind === 'remote')
      throw new Error(`${manifest.name} has nothing to run.`);
    const plan = capturePlan({ label: manifest.name, packageDir, runtime, manifest });
    const connection = await connect(
      {
        driver,
        clock: systemClock,
        limits: DEFAULT_RUNNER_LIMITS,
        identity: { name: 'berth', version: berthVersion() },
        log: createLogger({ level: 'silent', name: 'adopt' }),
      },
      { plan, protocol: runtime.protocol, offered: {} },
    );
    const wanted: readonly LearnCall[] =
      calls.length > 0
        ? calls
        : surface.tools.map((tool) => ({ tool: tool.name, arguments: sampleArguments(tool.inputSchema) }));
    const bounded = wanted.slice(0, MAX_CALLS);
    const called: string[] = [];
    const answered: string[] = [];
    let said = '';
    const attempt = async ({ tool, arguments: given }: LearnCall): Promise<void> => {
      const params = { name: tool, arguments: given };
      const answer = await connection.session
        .request({ method: 'tools/call', params, timeoutMs: CALL_TIMEOUT_MS })
        .catch((error: unknown) => ({ isError: true, error: textOfError(error) }));
      called.push(tool);
      if ('isError' in answer && answer['isError'] === true)
        said += `${JSON.stringify(answer).slice(0, MAX_TEXT_CHARS)}\n`;
      else answered.push(tool);
    };
    try {
      // The user's own calls build on each other; made-up ones do not, and some of them only wait.
      const width = calls.length > 0 ? 1 : AT_ONCE;
      for (let at = 0; at < bounded.length; at += width)
        await Promise.all(bounded.slice(at, at + width).map(attempt));
    } finally {
      await connection.end(
        new AppError('unavailable', { detail: `${manifest.name} was started only to learn from.` }),
      );
    }
    return {
      how: 'from-errors',
      called: called.toSorted(),
      answered: answered.toSorted(),
      ...refusalsIn(said),
      variables: [],
    };
  };
}

function textOfError(error: unknown): string {
  return error instanceof AppError
    ? `${error.message} ${JSON.stringify(error.data ?? {})}`
    : (error as Error).message;
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
