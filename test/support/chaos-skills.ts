import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type ErrorCode, ERRORS } from '../../protocol/errors.ts';

/** Also found from test/bench, beside which this file lies once it is bundled into a benchmark. */
const MISBEHAVE = join(import.meta.dirname, '../support/skills/misbehave.mjs');

/** A skill that misbehaves in one way, and the tool by which it does. */
export interface ChaosSkill {
  name: string;
  tool: string;
  /** How it behaves whatever it is asked; see `skills/misbehave.mjs`. */
  args?: readonly string[];
}

/** Every way in which a skill can be a bad neighbour. */
export const CHAOS: readonly ChaosSkill[] = [
  { name: 'slow', tool: 'slow' },
  { name: 'hung', tool: 'hang' },
  { name: 'spinning', tool: 'spin' },
  { name: 'crashing', tool: 'crash' },
  { name: 'flooding', tool: 'flood' },
  { name: 'never-reading', tool: 'ok', args: ['deaf'] },
  { name: 'garbage', tool: 'garbage' },
  { name: 'forking', tool: 'fork' },
  { name: 'eating', tool: 'eat' },
];

/** Longest time for a call of such a skill. */
const TIMEOUT_MS = 1_500;

/** Writes the sources of one into a folder that is not there yet, as an author would have them. */
export async function chaosFolder(
  parent: string,
  { name, args = [] }: Pick<ChaosSkill, 'name' | 'args'>,
  { workspace = false, timeoutMs = TIMEOUT_MS }: { workspace?: boolean; timeoutMs?: number } = {},
): Promise<string> {
  const folder = join(parent, name);
  await mkdir(join(folder, 'server'), { recursive: true });
  await copyFile(MISBEHAVE, join(folder, 'server', 'index.mjs'));
  const grant = { path: '${workspace}', mode: 'rw', reason: 'it waits for a file in it' };
  await writeFile(
    join(folder, 'skill.json'),
    JSON.stringify({
      name: `local.chaos/${name}`,
      version: '1.0.0',
      title: 'Chaos',
      description: 'Misbehaves',
      license: 'Apache-2.0',
      runtime: { kind: 'node', entry: 'server/index.mjs', args, protocol: '2025-11-25' },
      permissions: {
        ...(workspace ? { filesystem: [grant] } : {}),
        mcp: { elicitation: true },
        resources: { timeoutMs, memoryMb: 64, pids: 32 },
      },
    }),
  );
  return folder;
}

/** How a `tools/call` ended, from the body that came back: `ok`, or the code of a failure of the table. */
export function endOf(body: string): 'ok' | ErrorCode {
  const { result, error } = JSON.parse(body.slice(body.indexOf('{'))) as {
    result?: { isError?: boolean; content: { text?: string }[] };
    error?: { data?: { code?: ErrorCode } };
  };
  if (result !== undefined && result.isError !== true) return 'ok';
  const told = result?.content[0]?.text ?? '';
  const [code] = Object.entries(ERRORS).find(([, { title }]) => told.startsWith(`${title}.`)) ?? [];
  const end = (code ?? error?.data?.code) as ErrorCode | undefined;
  if (end === undefined) throw new Error(`this failure has no code: ${body.slice(0, 300)}`);
  return end;
}
