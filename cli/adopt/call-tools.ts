import { systemClock } from '../../hub/clock.ts';
import { connect } from '../../hub/runner/connect.ts';
import { DEFAULT_RUNNER_LIMITS } from '../../hub/runner/runner.ts';
import { capturePlan } from '../../hub/sandbox/plan.ts';
import type { SandboxDriver, SandboxPlan } from '../../hub/sandbox/sandbox.ts';
import { AppError } from '../../protocol/errors.ts';
import { createLogger } from '../../protocol/node/logger.ts';
import { berthVersion } from '../version.ts';
import type { Learned, LearnCall, LearnOrder } from './learn.ts';
import { sampleArguments } from './sample.ts';

const MAX_CALLS = 64;
const CALL_TIMEOUT_MS = 3_000;
const AT_ONCE = 8;
const MAX_TEXT_CHARS = 64 * 1024;

/** Which tools were called, which of them answered without an error, and what the others said. */
type Called = Pick<Learned, 'called' | 'answered'> & { said: string };

/**
 * Runs the skill with nothing granted (scratch folders, made-up secrets) and calls its tools: the user's own calls, or
 * each tool once. What a tool does to a scratch folder is gone with it.
 * @throws AppError when the skill does not start.
 */
export async function callTools(
  driver: Pick<SandboxDriver, 'start'>,
  { packageDir, manifest, surface, calls }: LearnOrder,
  watched: (plan: SandboxPlan) => SandboxPlan = (plan) => plan,
): Promise<Called> {
  const runtime = runtimeOf(manifest);
  const plan = capturePlan({ label: manifest.name, packageDir, runtime, manifest });
  const connection = await connect(
    {
      driver,
      clock: systemClock,
      limits: DEFAULT_RUNNER_LIMITS,
      identity: { name: 'berth', version: berthVersion() },
      log: createLogger({ level: 'silent', name: 'adopt' }),
    },
    { plan: watched(plan), protocol: runtime.protocol, offered: {} },
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
  return { called: called.toSorted(), answered: answered.toSorted(), said };
}

/** What runs of a skill that is adopted. */
export function runtimeOf({ name, runtime }: LearnOrder['manifest']) {
  if (runtime.kind === 'prompt-only' || runtime.kind === 'remote')
    throw new Error(`${name} has nothing to run.`);
  return runtime;
}

function textOfError(error: unknown): string {
  return error instanceof AppError
    ? `${error.message} ${JSON.stringify(error.data ?? {})}`
    : (error as Error).message;
}
