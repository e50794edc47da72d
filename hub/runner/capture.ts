import { z } from 'zod';
import { AppError } from '../../protocol/errors.ts';
import { type Surface, surfaceSchema } from '../../protocol/surface.ts';
import { type Clock, systemClock, within } from '../clock.ts';
import type { AskableCapabilities } from '../questions.ts';
import type { SandboxPlan } from '../sandbox/sandbox.ts';
import { connect, type ConnectParts } from './connect.ts';
import { isObject } from './peer.ts';
import { notMcp } from './pipe.ts';
import type { RemotePlan } from './remote.ts';
import { DEFAULT_RUNNER_LIMITS } from './runner.ts';
import type { Session } from './session.ts';

/** Bounds on what a skill may list of one kind, and on how long it may take over all of it when it is captured. */
const MAX_PAGES = 100;
const MAX_ITEMS = 5_000;
const LISTING_TIMEOUT_MS = 20_000;

const METHOD_NOT_FOUND = -32601;

/** What a capture needs: the same as any start, with the runner's limits. */
export type CaptureParts = Pick<ConnectParts, 'driver' | 'identity' | 'log'> & { clock?: Clock };

/**
 * Starts a skill once, writes down everything it says to a model, and ends it. `offered` is all that it
 * asks to be offered: some list tools only for clients that can be asked. `skill` is what its
 * SKILL.md says, which no server tells. The same skill gives the same surface, in whatever order it lists.
 * @throws AppError as starting does, `skill-output-invalid`, `skill-error`, `skill-timeout`.
 */
export async function captureSurface(
  { clock = systemClock, ...parts }: CaptureParts,
  {
    plan,
    protocol,
    offered = {},
    skill,
  }: {
    plan: SandboxPlan | RemotePlan;
    protocol: string;
    offered?: AskableCapabilities;
    skill?: Surface['skill'];
  },
): Promise<Surface> {
  const connection = await connect(
    { ...parts, clock, limits: DEFAULT_RUNNER_LIMITS },
    { plan, protocol, offered },
  );
  try {
    const live = await surfaceOf(connection.session, {
      label: plan.label,
      clock,
      timeoutMs: LISTING_TIMEOUT_MS,
    });
    return skill === undefined ? live : { ...live, skill };
  } finally {
    await connection.end(
      new AppError('unavailable', { detail: `${plan.label} was started only to be looked at.` }),
    );
  }
}

/** What a skill with an open session says to a model now. */
export async function surfaceOf(
  session: Session,
  { label, clock, timeoutMs }: { label: string; clock: Clock; timeoutMs: number },
): Promise<Surface> {
  const late = (): AppError =>
    new AppError('skill-timeout', { detail: `${label} did not list what it offers within ${timeoutMs} ms.` });
  const { capabilities, instructions } = session;
  const declared = (capability: string): boolean => isObject(capabilities[capability]);
  const list = (method: string, field: string): Promise<Record<string, unknown>[]> =>
    listAll(session, { method, field, label, timeoutMs });

  const lists = Promise.all([
    declared('tools') ? list('tools/list', 'tools') : [],
    declared('prompts') ? list('prompts/list', 'prompts') : [],
    declared('resources') ? list('resources/list', 'resources') : [],
    declared('resources') ? list('resources/templates/list', 'resourceTemplates') : [],
  ]);
  const [tools, prompts, resources, resourceTemplates] = await within(clock, timeoutMs, lists, late);
  const resourcesSubscribe =
    isObject(capabilities['resources']) && capabilities['resources']['subscribe'] === true;
  const surface = surfaceSchema.safeParse({
    ...(instructions === undefined ? {} : { instructions }),
    tools,
    prompts,
    resources,
    resourceTemplates,
    capabilities: {
      ...(declared('completions') ? { completions: true } : {}),
      ...(resourcesSubscribe ? { resourcesSubscribe } : {}),
      ...(declared('logging') ? { logging: true } : {}),
    },
  });
  if (surface.success) return surface.data;
  const [fault] = surface.error.issues;
  throw notMcp(
    label,
    `lists something that MCP does not allow (${fault?.path.join('.') ?? ''}: ${fault?.message ?? ''})`,
  );
}

const page = z.looseObject({ nextCursor: z.string().min(1).max(10_000).optional() });
const items = z.array(z.record(z.string(), z.unknown()));

async function listAll(
  session: Session,
  { method, field, label, timeoutMs }: { method: string; field: string; label: string; timeoutMs: number },
): Promise<Record<string, unknown>[]> {
  const found: Record<string, unknown>[] = [];
  let cursor: string | undefined;
  for (let pages = 0; pages < MAX_PAGES; pages += 1) {
    const params = cursor === undefined ? {} : { cursor };
    const answer = await session.request({ method, params, timeoutMs }).catch((error: unknown) => {
      if (lacks(error) && method === 'resources/templates/list') return { [field]: [] };
      throw error;
    });
    const head = page.safeParse(answer);
    const body = items.safeParse(answer[field]);
    if (!head.success || !body.success) throw notMcp(label, `answered ${method} with something else`);
    found.push(...body.data);
    if (found.length > MAX_ITEMS) throw notMcp(label, `lists more than ${MAX_ITEMS} entries at ${method}`);
    cursor = head.data.nextCursor;
    if (cursor === undefined) return found;
  }
  throw notMcp(label, `has more than ${MAX_PAGES} pages at ${method}`);
}

/** Servers with plain resources often leave templates out; the protocol has no capability of their own for them. */
function lacks(error: unknown): boolean {
  if (!(error instanceof AppError) || error.code !== 'skill-error') return false;
  const rpc = error.data?.['rpc'];
  return isObject(rpc) && rpc['code'] === METHOD_NOT_FOUND;
}
