import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { join, posix } from 'node:path';
import type { SandboxDriver } from '../hub/sandbox/sandbox.ts';
import type { ArchiveFile } from '../protocol/archive.ts';
import { AppError } from '../protocol/errors.ts';
import { describe, normalise } from '../protocol/permissions.ts';
import { unverifiable } from '../protocol/manifest.ts';
import { boundEffects, isEnforced, suggestAnswer, toolEffects } from '../protocol/surface.ts';
import { bundle } from './bundle.ts';
import { projectFiles } from './dev/project-files.ts';
import type { LearnSandbox } from './dev/sandbox.ts';
import { watchTests } from './dev/test-use.ts';
import { unusedPermissions } from './dev/unused.ts';
import { packSkill, withUnpacked, type PackedSkill, type PackParts } from './pack.ts';

/** What a check found: everything that a reviewer will see, and what could be better. */
export interface Checked {
  packed: PackedSkill;
  can: readonly string[];
  cannot: readonly string[];
  tools: readonly { name: string; effects: readonly string[]; answer: 'allow' | 'ask' | 'deny' }[];
  advice: readonly string[];
  tests: readonly TestRun[];
}

/** One test file of the author, run in the sandbox. */
export interface TestRun {
  file: string;
  passed: boolean;
  /** What the run printed, bounded. */
  output: string;
}

const TEST_FILE = /\.test\.(?:ts|mts|js|mjs)$/;
const PYTHON_TEST = /^(?:test_[A-Za-z0-9_]+|[A-Za-z_][A-Za-z0-9_]*_test)\.py$/;
const TEST_TIMEOUT_MS = 60_000;
const MAX_OUTPUT_CHARS = 64 * 1024;

/**
 * Packs a skill as `publish` does and runs its tests in the sandbox with no network and no grants: `test/*.test.ts` and
 * the like, each bundled and run by Node, and `test/test_*.py` of a Python skill, by its `unittest`. A failed test is a
 * finding, not an error. What the manifest asks and a recorded session (`berth dev --record`) and the tests never used
 * is named.
 * @throws AppError as `packSkill`.
 */
export async function checkSkill(
  parts: PackParts & {
    /** Where tests of a skill that was recorded are watched; left out, or unusable here: they are not. */
    learn?: LearnSandbox;
  },
  project: string,
): Promise<Checked> {
  const packed = await packSkill(parts, project);
  const { manifest, surface } = packed;
  const permissions = normalise(manifest.permissions);
  const tools = surface.tools.map((tool) => {
    const effects = boundEffects(toolEffects(tool, manifest), permissions);
    const enforced = isEnforced(effects, permissions, manifest.stateless);
    const answer = suggestAnswer(effects, manifest.runtime.kind === 'remote');
    return { name: tool.name, effects, enforced, answer };
  });
  const { can, cannot } = describe(permissions, tools);
  const recording = await projectFiles(packed.project).readRecording();
  const watched = recording === undefined ? undefined : await watchTests(parts.learn, permissions);
  const tests: TestRun[] = [];
  const running = { driver: watched?.driver ?? parts.driver };
  for (const file of await testFiles(packed.project, TEST_FILE))
    tests.push(await runTest(running, packed, await nodeTest(packed, file)));
  if (manifest.runtime.kind === 'python')
    for (const file of await testFiles(packed.project, PYTHON_TEST))
      tests.push(await runTest(running, packed, await pythonTest(packed, manifest.runtime.entry, file)));
  const unused =
    recording === undefined
      ? []
      : unusedPermissions(permissions, [recording.used, ...(watched?.used() ?? [])]);
  return { packed, can, cannot, tools, advice: [...adviceOn(packed), ...unused], tests };
}

/** What works, but makes a skill harder to trust or to use. */
function adviceOn({ manifest, surface, files }: PackedSkill): string[] {
  const advice = [unverifiable(manifest.runtime.kind)].filter((line) => line !== undefined);
  for (const tool of surface.tools) {
    if (!tool.description)
      advice.push(`The tool ${tool.name} has no description; a model will not know when to use it.`);
    const said =
      manifest.tools[tool.name]?.effects !== undefined || tool.annotations?.readOnlyHint !== undefined;
    if (!said && tool.annotations?.destructiveHint === undefined) {
      advice.push(
        `Nothing says what the tool ${tool.name} does to the world, so it counts as destroying and sending.`,
      );
    }
  }
  for (const { path } of files.filter((file) => file.path.endsWith('.pth')))
    advice.push(`${path} has no effect: Python reads no .pth files in the folder of a skill's packages.`);
  if (!files.some(({ path }) => path === 'README.md')) advice.push('There is no README.md.');
  return advice;
}

async function testFiles(project: string, wanted: RegExp): Promise<string[]> {
  const names = await readdir(join(project, 'test')).catch(() => []);
  return names
    .filter((name) => wanted.test(name))
    .toSorted()
    .map((name) => `test/${name}`);
}

/** A test as it is run: what lies beside the package for it, and where it begins. */
interface RunnableTest {
  file: string;
  kind: 'node' | 'python';
  entry: string;
  beside: readonly ArchiveFile[];
}

async function nodeTest({ project }: PackedSkill, file: string): Promise<RunnableTest> {
  const entry = file.replace(/\.[^./]+$/, '.mjs');
  const bytes = await bundle(project, file);
  return { file, kind: 'node', entry, beside: [{ path: entry, mode: 0o644, bytes }] };
}

/** Begun beside the server, so that it finds the same modules and packages. */
async function pythonTest({ project }: PackedSkill, server: string, file: string): Promise<RunnableTest> {
  const entry = posix.join(posix.dirname(server), 'berth_test.py');
  const module = posix.basename(file, '.py');
  const start = `import sys, unittest\nsys.path.insert(0, "/skill/test")\nunittest.main(module="${module}", argv=["test"])\n`;
  return {
    file,
    kind: 'python',
    entry,
    beside: [
      { path: entry, mode: 0o644, bytes: Buffer.from(start) },
      { path: file, mode: 0o644, bytes: await readFile(join(project, file)) },
    ],
  };
}

async function runTest(
  { driver }: { driver: SandboxDriver },
  packed: PackedSkill,
  { file, kind, entry, beside }: RunnableTest,
): Promise<TestRun> {
  const replaced = new Set(beside.map(({ path }) => path));
  const files = [...packed.files.filter(({ path }) => !replaced.has(path)), ...beside];
  return withUnpacked(files, async (packageDir) => {
    const { memoryMb, cpus, pids, diskMb } = normalise(packed.manifest.permissions).resources;
    const process = await driver.start({
      label: `${packed.manifest.name}@${packed.manifest.version} ${file}`,
      packageDir,
      runtime: { kind, entry, args: [] },
      mounts: [],
      scratch: ['/workspace', '/data'],
      env: {},
      programs: [],
      network: [],
      limits: { memoryMb, cpus, pids, diskMb },
    });
    process.stdin.end();
    const output = collect(process.stdout);
    const complaints = collect(process.stderr);
    const timer = setTimeout(() => void process.kill(), TEST_TIMEOUT_MS);
    const exit = await process.exited.finally(() => clearTimeout(timer));
    const late = exit.signal === null ? '' : `\nstopped: ${exit.reason ?? exit.signal}`;
    return { file, passed: exit.code === 0, output: `${await output}${await complaints}${late}`.trim() };
  });
}

async function collect(stream: NodeJS.ReadableStream): Promise<string> {
  let text = '';
  stream.on('data', (chunk: Buffer) => {
    if (text.length < MAX_OUTPUT_CHARS) text += chunk.toString('utf8');
  });
  await once(stream, 'close');
  return text.slice(0, MAX_OUTPUT_CHARS);
}

/** Fails a check whose tests failed. @throws AppError `pack-failed` with the output. */
export function refuseFailedTests(tests: readonly TestRun[]): void {
  const failed = tests.filter((run) => !run.passed);
  if (failed.length === 0) return;
  throw new AppError('pack-failed', {
    detail: failed.map(({ file, output }) => `${file} failed:\n${output}`).join('\n'),
    hint: 'Correct the skill or its test and check again.',
    data: { tests: failed },
  });
}
