import { mkdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { AppError } from '../protocol/errors.ts';
import type { Manifest } from '../protocol/manifest.ts';
import { bindPaths, normalise } from '../protocol/permissions.ts';
import { answerFromPackage, packageSurface } from '../protocol/prompt-skill.ts';
import type { Surface } from '../protocol/surface.ts';
import type { AuditLog } from './audit/audit-log.ts';
import type { InstalledSkill } from './installed.ts';
import type { GatewayRequest } from './mcp/gateway.ts';
import { checkFiles } from './packages.ts';
import type { HubPaths } from './paths.ts';
import { everythingOf } from './questions.ts';
import type { Reach } from './remote/reach.ts';
import { type CaptureParts, captureSurface } from './runner/capture.ts';
import type { RunnableSkill, Runner } from './runner/runner.ts';
import { capturePlan, sandboxPlan, unsandboxedPlan } from './sandbox/plan.ts';
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
 * ends a subscription that was begun by such a request.
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
    });
  return { perform, release };

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
    return parts.runner.request(runnableOf(skill), user, request);
  }
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
    plan: (user) =>
      runtime.kind === 'remote' ? parts.reach.planOf(skill, user) : planOf(parts, skill, runtime, user),
  };
}

async function planOf(
  parts: LaunchParts,
  skill: InstalledSkill,
  runtime: SandboxRuntime,
  user: string,
): Promise<SandboxPlan> {
  await checkFiles(skill.packageDir, skill.files);
  const data = parts.paths.dataOf(user, skill.name);
  const bindings = { workspace: skill.workspace, data, config: skill.config };
  if (bindPaths(skill.permissions, bindings).some((path) => path.root === data)) {
    await mkdir(dirname(data), { recursive: true, mode: 0o700 });
    await (skill.unsandboxed ? parts.unsandboxed : parts.driver).makeOwned(data);
  }
  const granted = new Set(skill.permissions.secrets.map((secret) => secret.name));
  const secrets = [...parts.secrets.of(skill.name)].filter(([name]) => granted.has(name));
  await parts.audit.append(
    ...secrets.map(([secret]) => ({ event: 'secret.used', skill: skill.name, secret, user }) as const),
  );
  const planned = skill.unsandboxed ? unsandboxedPlan : sandboxPlan;
  return planned({
    label: `${skill.name}@${skill.version}`,
    packageDir: skill.packageDir,
    runtime,
    permissions: skill.permissions,
    bindings,
    secrets: Object.fromEntries(secrets),
    env: present(parts.environment),
  });
}

/** What a fresh package says, started with nothing granted; a package without a program speaks through its files. */
export function surfaceCapture(parts: CaptureParts) {
  return async function capture(
    packageDir: string,
    manifest: Manifest,
    files: readonly string[],
  ): Promise<Surface> {
    const { runtime } = manifest;
    if (runtime.kind === 'prompt-only') return packageSurface(manifest, await readPackage(packageDir, files));
    if (runtime.kind === 'remote') throw nothingToRun(manifest);
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
