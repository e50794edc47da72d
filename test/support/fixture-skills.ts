import { captureSurface } from '../../hub/runner/capture.ts';
import { type AskableCapabilities, everythingOf } from '../../hub/questions.ts';
import type { RunnableSkill } from '../../hub/runner/runner.ts';
import type { SandboxPlan } from '../../hub/sandbox/sandbox.ts';
import type { Surface } from '../../protocol/surface.ts';
import { logLines } from './log-lines.ts';
import { plainDriver } from './plain-driver.ts';

const SKILLS = new URL('./skills', import.meta.url).pathname;

/** A fixture skill and the revision that it speaks. */
export const FIXTURES = {
  modern: { entry: 'modern-echo.mjs', protocol: '2026-07-28' },
  legacy: { entry: 'legacy-echo.mjs', protocol: '2025-11-25' },
  'modern-asks': { entry: 'modern-asks.mjs', protocol: '2026-07-28' },
  'legacy-asks': { entry: 'legacy-asks.mjs', protocol: '2025-11-25' },
  misbehave: { entry: 'misbehave.mjs', protocol: '2025-11-25' },
} as const;
export type Fixture = keyof typeof FIXTURES;

/** What the fixtures that ask may ask: everything. */
const EVERYTHING = everythingOf({ elicitation: true, sampling: true, roots: true });

function askedFor(fixture: Fixture): AskableCapabilities {
  return fixture.endsWith('-asks') ? EVERYTHING : {};
}

export const IDENTITY = { name: 'berth', version: '0.0.0' };

/** The plan of a fixture, for the plain driver. */
export function planOf(
  fixture: Fixture,
  args: readonly string[] = [],
  env: Record<string, string> = {},
): SandboxPlan {
  return {
    label: `org.example/${fixture}@1.0.0`,
    packageDir: SKILLS,
    runtime: { kind: 'node', entry: FIXTURES[fixture].entry, args },
    mounts: [],
    scratch: [],
    env,
    programs: [],
    network: [],
    limits: { memoryMb: 256, cpus: 1, pids: 32, diskMb: 64 },
  };
}

/** What a fixture really says, as an install would have captured it. */
export function capture(fixture: Fixture): Promise<Surface> {
  const { log } = logLines();
  return captureSurface(
    { driver: plainDriver(), identity: IDENTITY, log },
    { plan: planOf(fixture), protocol: FIXTURES[fixture].protocol, offered: askedFor(fixture) },
  );
}

/** An approved fixture skill, ready to run. */
export function runnable(
  fixture: Fixture,
  surface: Surface,
  {
    args = [],
    env = {},
    ...more
  }: Partial<RunnableSkill> & { args?: string[]; env?: Record<string, string> } = {},
): RunnableSkill {
  return {
    name: `org.example/${fixture}`,
    version: '1.0.0',
    protocol: FIXTURES[fixture].protocol,
    epoch: '1',
    surface,
    captured: askedFor(fixture),
    mayAsk: askedFor(fixture),
    timeoutMs: 10_000,
    plan: async () => planOf(fixture, args, env),
    ...more,
  };
}
