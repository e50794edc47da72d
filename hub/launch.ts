import { mkdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { AppError } from '../protocol/errors.ts';
import type { Manifest } from '../protocol/manifest.ts';
import {
  allowedHostNames,
  bindPaths,
  hostKeysOf,
  normalise,
  readAllowedHosts,
} from '../protocol/permissions.ts';
import { answerFromPackage, packageSurface } from '../protocol/prompt-skill.ts';
import { onlyReads, type Surface } from '../protocol/surface.ts';
import type { AuditLog } from './audit/audit-log.ts';
import { grantedPrograms, programsOf } from './bindings.ts';
import { isServing } from './catalog.ts';
import { withRemedy } from './folders.ts';
import type { InstalledSkill, InstalledSkills } from './installed.ts';
import type { GatewayRequest } from './mcp/gateway.ts';
import { checkFiles } from './packages.ts';
import type { HubPaths } from './paths.ts';
import { everythingOf } from './questions.ts';
import type { RecentUse } from './recent.ts';
import type { Reach } from './remote/reach.ts';
import { type CaptureParts, captureSurface } from './runner/capture.ts';
import type { RunnableSkill, Runner } from './runner/runner.ts';
import { capturePlan, sandboxPlan, unsandboxedPlan } from './sandbox/plan.ts';
import { refuseOtherPython } from './sandbox/python-fit.ts';
import type { SandboxDriver, SandboxPlan, SandboxRuntime } from './sandbox/sandbox.ts';
import type { Secrets } from './secrets/secrets.ts';
import { fileAsked, readSkillFile } from './skill-files.ts';

interface LaunchParts {
  /** The hub's own environment, from which granted variables are passed on. */
  environment: Readonly<Record<string, string | undefined>>;
  audit: AuditLog;
  runner: Runner;
  driver: SandboxDriver;
  /** For skills that were approved to run without a sandbox. */
  unsandboxed: SandboxDriver;
  secrets: Secrets;
  paths: HubPaths;
  reach: Pick<Reach, 'planOf'>;
}

/**
 * Sends requests to skills: to a sandboxed process, to a remote server, or to the package itself where there is nothing to run. `release`
 * ends a subscription that was begun by such a request; `startAhead` starts what may soon be called.
 */
export function launcher(parts: LaunchParts) {
  /** An installed skill is replaced and never altered: what was made of one holds as long as it lives. */
  const known = new WeakMap<InstalledSkill, RunnableSkill>();
  const runnableOf = (skill: InstalledSkill): RunnableSkill => {
    const before = known.get(skill);
    if (before !== undefined) return before;
    const made = runnable(parts, skill);
    known.set(skill, made);
    return made;
  };
  const release = (skill: InstalledSkill, user: string, uri: string) =>
    parts.runner.request(runnableOf(skill), user, {
      method: 'resources/unsubscribe',
      params: { uri },
      signal: new AbortController().signal,
      readOnly: skill.manifest.stateless === true && !skill.unsandboxed,
    });
  /** Those of these uses whose skill still serves and has a process of this machine to start. */
  const startAhead = (installed: InstalledSkills, uses: readonly RecentUse[]) =>
    parts.runner.startAhead(
      uses.flatMap(({ skill: name, user, usedAt }) => {
        const skill = installed.get(name);
        const starts = skill !== undefined && isServing(skill) && runsHere(skill.manifest);
        return starts ? [{ skill: runnableOf(skill), user, usedAt }] : [];
      }),
    );
  return { perform, release, startAhead };

  async function perform(
    skill: InstalledSkill,
    user: string,
    request: GatewayRequest,
  ): Promise<Record<string, unknown>> {
    const file = fileAsked(skill, request);
    if (file !== undefined) return readSkillFile(skill, file, String(request.params['uri']));
    if (skill.manifest.runtime.kind === 'prompt-only') {
      await checkFiles(skill.packageDir, skill.files);
      return answerFromPackage(
        skill.manifest,
        await readPackage(skill.packageDir, Object.keys(skill.files)),
        request,
      );
    }
    const order = runsReadOnly(skill, request) ? { ...request, readOnly: true } : request;
    return parts.runner.request(runnableOf(skill), user, order);
  }
}

/**
 * Whether a request is done where nothing can be written: of a stateless skill all but tools that do more than
 * read. Prompts, resources and completions only read by what they are. Without a sandbox there is no such place.
 */
function runsReadOnly(
  { manifest, tools, unsandboxed }: InstalledSkill,
  { method, params }: GatewayRequest,
): boolean {
  if (manifest.stateless !== true || unsandboxed) return false;
  if (method !== 'tools/call') return true;
  return onlyReads(tools.get(String(params['name']))?.effects ?? []);
}

/** An installed skill as the runner takes it: the plan is made at each start, after the files were checked. */
function runnable(parts: LaunchParts, skill: InstalledSkill): RunnableSkill {
  const { runtime } = skill.manifest;
  if (runtime.kind === 'prompt-only') throw nothingToRun(skill.manifest);
  return {
    name: skill.name,
    version: skill.version,
    protocol: runtime.protocol,
    epoch: String(skill.epoch),
    surface: skill.surface,
    captured: everythingOf(normalise(skill.manifest.permissions).mcp),
    mayAsk: everythingOf(skill.permissions.mcp),
    ...(skill.unsandboxed ? { unsandboxed: true as const } : {}),
    timeoutMs: skill.permissions.resources.timeoutMs,
    explain: (error) => withRemedy(error, skill),
    plan: (user, readOnly) =>
      runtime.kind === 'remote'
        ? parts.reach.planOf(skill, user)
        : planOf(parts, skill, runtime, { user, readOnly }),
  };
}

async function planOf(
  parts: LaunchParts,
  skill: InstalledSkill,
  runtime: SandboxRuntime,
  { user, readOnly }: { user: string; readOnly: boolean },
): Promise<SandboxPlan> {
  await checkFiles(skill.packageDir, skill.files);
  const driver = skill.unsandboxed ? parts.unsandboxed : parts.driver;
  await refuseUnlessPythonFits(driver, skill.packageDir, runtime, Object.keys(skill.files));
  const data = parts.paths.dataOf(user, skill.name);
  const bindings = { workspace: skill.workspace, data, config: toldConfig(skill) };
  if (bindPaths(skill.permissions, bindings).some((path) => path.root === data)) {
    await mkdir(dirname(data), { recursive: true, mode: 0o700 });
    await driver.makeOwned(data);
  }
  const granted = new Set(skill.permissions.secrets.map((secret) => secret.name));
  const secrets = [...parts.secrets.of(skill.name)].filter(([name]) => granted.has(name));
  await parts.audit.append(
    ...secrets.map(([secret]) => ({ event: 'secret.used', skill: skill.name, secret, user }) as const),
    ...(await programsUsed({ paths: parts.paths, driver }, skill, user)),
  );
  const planned = skill.unsandboxed ? unsandboxedPlan : sandboxPlan;
  return planned({
    label: `${skill.name}@${skill.version}`,
    holder: { skill: skill.name, user },
    packageDir: skill.packageDir,
    runtime,
    permissions: skill.permissions,
    bindings,
    folders: skill.folders,
    readOnly,
    secrets: Object.fromEntries(secrets),
    env: present(parts.environment),
  });
}

/** The config as the skill is told it: of a value that stands for hosts, the names of those that are granted. */
function toldConfig({ manifest, permissions, config }: InstalledSkill): InstalledSkill['config'] {
  const granted = new Set(permissions.network.map(({ host }) => host));
  const told = hostKeysOf(manifest.permissions).flatMap((key) => {
    const hosts = Object.hasOwn(config, key) ? readAllowedHosts(String(config[key])) : undefined;
    if (hosts?.ok !== true) return [];
    return [[key, allowedHostNames(hosts.value.filter(({ host }) => granted.has(host)))] as const];
  });
  return { ...config, ...Object.fromEntries(told) };
}

/** The ports of each skill that a start would need a network for. */
export function portsOfNetworks(skills: readonly InstalledSkill[]): number[][] {
  return skills
    .filter(({ manifest, blocked, quarantine }) => {
      const runs = manifest.runtime.kind !== 'remote' && manifest.runtime.kind !== 'prompt-only';
      return runs && blocked === undefined && quarantine === undefined;
    })
    .map(({ permissions }) => [...new Set(permissions.network.map(({ port }) => port))])
    .filter((ports) => ports.length > 0);
}

/** The machine updates its programs; which one ran is on record. */
async function programsUsed(
  parts: Pick<LaunchParts, 'paths' | 'driver'>,
  { name, version, manifest, digest, permissions }: InstalledSkill,
  user: string,
) {
  if (permissions.subprocess.length === 0) return [];
  const programs = grantedPrograms(await programsOf(parts, { manifest, digest }, permissions));
  return programs.map(
    (program) => ({ event: 'program.used', skill: name, version, ...program, user }) as const,
  );
}

/** What a fresh package says, started with nothing granted; a package without a program speaks through its files. */
export function surfaceCapture(parts: CaptureParts & { driver: Pick<SandboxDriver, 'start' | 'hostFiles'> }) {
  return async function capture(
    packageDir: string,
    manifest: Manifest,
    files: readonly string[],
  ): Promise<Surface> {
    const { runtime } = manifest;
    if (runtime.kind === 'prompt-only') return packageSurface(manifest, await readPackage(packageDir, files));
    if (runtime.kind === 'remote') throw nothingToRun(manifest);
    await refuseUnlessPythonFits(parts.driver, packageDir, runtime, files);
    const plan = capturePlan({
      label: `${manifest.name}@${manifest.version}`,
      packageDir,
      runtime,
      manifest,
    });
    return captureSurface(parts, {
      plan,
      protocol: runtime.protocol,
      offered: everythingOf(normalise(manifest.permissions).mcp),
    });
  };
}

async function refuseUnlessPythonFits(
  driver: Pick<SandboxDriver, 'hostFiles'>,
  packageDir: string,
  runtime: SandboxRuntime,
  files: readonly string[],
): Promise<void> {
  if (runtime.kind !== 'python' || !files.some((file) => file.endsWith('.so'))) return;
  const found = await driver.hostFiles({ packageDir, runtime, programs: [] });
  const { version = '' } = found.find(({ role }) => role === 'runtime') ?? {};
  refuseOtherPython(files, { version, arch: process.arch });
}

function runsHere({ runtime }: Manifest): boolean {
  return runtime.kind !== 'remote' && runtime.kind !== 'prompt-only';
}

function nothingToRun(manifest: Manifest): AppError {
  return new AppError('skill-not-runnable', {
    detail: `${manifest.name} is a ${manifest.runtime.kind} skill, which this hub cannot run.`,
  });
}

async function readPackage(folder: string, files: readonly string[]): Promise<Map<string, Uint8Array>> {
  return new Map(
    await Promise.all(files.map(async (path) => [path, await readFile(join(folder, path))] as const)),
  );
}

function present(environment: Readonly<Record<string, string | undefined>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(environment).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, value] as const],
    ),
  );
}
