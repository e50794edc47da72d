import { chmod, cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Client, type CallToolResult } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { bundle } from '../../cli/bundle.ts';
import { reservedMb } from '../../hub/sandbox/launch.ts';

const SKILLS = new URL('../../skills/', import.meta.url).pathname;

/** A first-party skill as it looks once packed and unpacked: one bundled entry beside what its manifest names. */
export interface BuiltSkill {
  readonly folder: string;
  readonly entry: string;
  remove(): Promise<void>;
}

/** Bundles a skill as `pack` does, into a folder of its own, far from any node_modules, as it runs for users. */
export async function buildSkill(name: string): Promise<BuiltSkill> {
  const source = join(SKILLS, name);
  const folder = await mkdtemp(join(tmpdir(), `berth-skill-${name}-`));
  const manifest = JSON.parse(await readFile(join(source, 'skill.json'), 'utf8')) as { files?: string[] };
  const entry = join(folder, 'server', 'index.mjs');
  await mkdir(dirname(entry), { recursive: true });
  await writeFile(entry, await bundle(source, 'server/index.ts'));
  for (const file of manifest.files ?? [])
    await cp(join(source, file), join(folder, file), { recursive: true });
  // Readable for the account that a sandbox runs it under, as an unpacked package is.
  await chmod(folder, 0o755);
  return { folder, entry, remove: () => rm(folder, { recursive: true, force: true }) };
}

/** A running skill with a modern client connected to it. */
export interface SkillProcess {
  readonly client: Client;
  readonly pid: number;
  /** What the skill wrote to stderr so far. */
  stderr(): string;
  /** The structured content of a call that must succeed. */
  call<T = Record<string, unknown>>(tool: string, args?: Record<string, unknown>): Promise<T>;
  /** The whole result, also of a refused call. */
  result(tool: string, args?: Record<string, unknown>): Promise<CallToolResult>;
  /** The text of a call that must be refused. */
  refusal(tool: string, args?: Record<string, unknown>): Promise<string>;
  stop(): Promise<void>;
}

/**
 * Starts a built skill with its package as working directory, and connects with the protocol era its manifest names.
 * `memoryMb` puts it under the same limit on its data segment as the sandbox does; `through` is a command to run it
 * with, such as one that mounts a folder read-only, and `env` its whole environment.
 */
export async function startSkill(
  skill: BuiltSkill,
  args: readonly string[],
  limits: {
    readonly memoryMb?: number;
    readonly through?: readonly string[];
    readonly env?: Readonly<Record<string, string>>;
  } = {},
): Promise<SkillProcess> {
  const limit =
    limits.memoryMb === undefined
      ? []
      : ['prlimit', `--data=${(limits.memoryMb + reservedMb('node')) * 1024 * 1024}`];
  const [command = '', ...rest] = [
    ...(limits.through ?? []),
    ...limit,
    process.execPath,
    skill.entry,
    ...args,
  ];
  const transport = new StdioClientTransport({
    command,
    args: rest,
    cwd: skill.folder,
    env: { ...limits.env },
    stderr: 'pipe',
  });
  let stderr = '';
  transport.stderr?.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const client = new Client(
    { name: 'skill-test', version: '1.0.0' },
    { versionNegotiation: { mode: { pin: '2026-07-28' } } },
  );
  await client.connect(transport).catch((error: unknown) => {
    throw new Error(`the skill did not start: ${stderr}`, { cause: error });
  });

  const result = async (tool: string, toolArgs: Record<string, unknown> = {}): Promise<CallToolResult> =>
    client.callTool({ name: tool, arguments: toolArgs });
  return {
    client,
    pid: transport.pid ?? 0,
    stderr: () => stderr,
    result,
    call: async <T>(tool: string, toolArgs?: Record<string, unknown>) => {
      const answer = await result(tool, toolArgs);
      if (answer.isError) throw new Error(`${tool} was refused: ${textOf(answer)}`);
      return answer.structuredContent as T;
    },
    refusal: async (tool, toolArgs) => {
      const answer = await result(tool, toolArgs);
      if (!answer.isError) throw new Error(`${tool} was not refused: ${textOf(answer)}`);
      return textOf(answer);
    },
    stop: () => client.close(),
  };
}

/** All text of a tool result. */
export function textOf(result: CallToolResult): string {
  return result.content.map((block) => (block.type === 'text' ? block.text : '')).join('\n');
}
