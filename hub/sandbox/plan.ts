import { AppError } from '../../protocol/errors.ts';
import type { ConfigField, Manifest } from '../../protocol/manifest.ts';
import {
  type Bindings,
  bindPaths,
  insideValues,
  normalise,
  type Permissions,
  substitute,
} from '../../protocol/permissions.ts';
import type { FolderIdentity } from './folder-identity.ts';
import type { SandboxHolder, SandboxMount, SandboxPlan, SandboxRuntime } from './sandbox.ts';

/** Where a secret with `inject: file` appears; `<NAME>_FILE` in the environment says so. */
const SECRETS_FOLDER = '/run/secrets';

/** What a plan is made from: an unpacked package, what was granted to it, and what the grants stand for. */
export interface PlanRequest {
  label: string;
  /** On whose record it stands what the process reaches. */
  holder: Pick<SandboxHolder, 'skill' | 'user'>;
  packageDir: string;
  runtime: SandboxRuntime;
  /** What was granted, not what was asked. */
  permissions: Permissions;
  bindings: Bindings;
  /** Which folder was granted at each host path. */
  folders?: Readonly<Record<string, FolderIdentity>>;
  /** Every folder read-only, for tools that only read. */
  readOnly?: boolean;
  /** Values by name; only those that `permissions.secrets` names are used. */
  secrets: Readonly<Record<string, string>>;
  /** Values by name; only those that `permissions.env` names are used. */
  env?: Readonly<Record<string, string>>;
}

/**
 * What a skill's process gets: exactly its grants. Config arrives as `BERTH_CONFIG` (JSON) and
 * `BERTH_CONFIG_<KEY>` (key in capitals), folders in it as the paths at which the skill sees them.
 * @throws AppError `binding-missing` for a root, config value or required secret without a value,
 *   `binding-refused` for a root that may not be granted.
 */
export function sandboxPlan(request: PlanRequest): SandboxPlan {
  const { permissions, bindings } = request;
  const inside = insideValues(permissions, bindings.config);
  const secrets = injectedSecrets(permissions, request.secrets);
  return {
    ...baseOf(request, permissions),
    runtime: withArguments(request.runtime, (text) => substitute(text, inside)),
    mounts: grantedMounts(request),
    ...(request.readOnly === true ? { readOnly: true } : {}),
    dataDir: bindings.data,
    scratch: [],
    files: secrets.files,
    env: { ...picked(request.env ?? {}, permissions.env), ...secrets.env, ...configVariables(inside.config) },
    programs: permissions.subprocess,
    // A reference that stands for nothing leads nowhere, and is no host that anybody could be asked for.
    network: permissions.network.filter(({ host }) => !host.startsWith('${')),
    holder: { ...request.holder, background: permissions.background },
  };
}

/**
 * The same for a skill that an admin approved to run without a sandbox: it is told its folders by their paths on the
 * host, for nothing is mounted anywhere. Its mounts say which folders these have to be.
 * @throws AppError `binding-missing`.
 */
export function unsandboxedPlan(request: PlanRequest): SandboxPlan {
  const { permissions, bindings } = request;
  const secrets = injectedSecrets(permissions, request.secrets);
  const values = {
    workspace: bindings.workspace ?? '',
    data: bindings.data,
    config: bindings.config,
  };
  return {
    ...baseOf(request, permissions),
    runtime: withArguments(request.runtime, (text) => substitute(text, values)),
    mounts: grantedMounts(request),
    dataDir: bindings.data,
    scratch: [],
    files: secrets.files,
    env: {
      ...picked(request.env ?? {}, permissions.env),
      ...secrets.env,
      ...configVariables(bindings.config),
    },
    programs: permissions.subprocess,
    network: permissions.network,
    unsandboxed: true,
  };
}

function grantedMounts({ permissions, bindings, folders }: PlanRequest): SandboxMount[] {
  return bindPaths(permissions, bindings).map(({ source, target, mode, root }) => ({
    source,
    target,
    mode,
    root,
    ...(root === bindings.data ? {} : { identity: folders?.[source] ?? 'no folder' }),
  }));
}

/**
 * What a package gets that is started only to hear what it says: no grant at all. Its folders are
 * scratch space, config and secrets are made up, and there is no network even where it asks for one.
 */
export function capturePlan(request: {
  label: string;
  packageDir: string;
  runtime: SandboxRuntime;
  manifest: Pick<Manifest, 'config' | 'permissions'>;
}): SandboxPlan {
  const asked = normalise(request.manifest.permissions);
  const config = Object.fromEntries(
    Object.entries(request.manifest.config).map(([key, field]) => [key, placeholderOf(field)] as const),
  );
  const inside = insideValues(asked, config);
  const placeholders = Object.fromEntries(asked.secrets.map(({ name }) => [name, 'placeholder'] as const));
  const secrets = injectedSecrets(asked, placeholders);
  const folders = asked.filesystem.map(({ path }) => substitute(path, inside));
  return {
    ...baseOf(request, asked),
    runtime: withArguments(request.runtime, (text) => substitute(text, inside)),
    mounts: [],
    scratch: outermost([inside.workspace, inside.data, ...folders]),
    files: secrets.files,
    env: { ...secrets.env, ...configVariables(inside.config) },
    programs: [],
    network: [],
  };
}

function baseOf(
  { label, packageDir }: { label: string; packageDir: string },
  { resources: { memoryMb, cpus, pids, diskMb } }: Permissions,
): Pick<SandboxPlan, 'label' | 'packageDir' | 'limits'> {
  return { label, packageDir, limits: { memoryMb, cpus, pids, diskMb } };
}

function withArguments(runtime: SandboxRuntime, fill: (text: string) => string): SandboxRuntime {
  return { kind: runtime.kind, entry: runtime.entry, args: runtime.args.map(fill) };
}

function configVariables(
  config: Readonly<Record<string, string | number | boolean>>,
): Record<string, string> {
  const single = Object.entries(config).map(
    ([key, value]) => [`BERTH_CONFIG_${key.toUpperCase()}`, String(value)] as const,
  );
  return { BERTH_CONFIG: JSON.stringify(config), ...Object.fromEntries(single) };
}

/** A secret for a header never enters the sandbox: the egress side adds it, outside. */
function injectedSecrets(permissions: Permissions, values: Readonly<Record<string, string>>) {
  const env: Record<string, string> = {};
  const files: Record<string, string> = {};
  for (const { name, required, inject } of permissions.secrets) {
    const value = Object.hasOwn(values, name) ? values[name] : undefined;
    if (value === undefined) {
      if (!required) continue;
      throw new AppError('binding-missing', {
        detail: `The secret ${name} has no value.`,
        hint: `Give it one with --secret ${name}.`,
      });
    }
    if (inject === 'env') env[name] = value;
    if (inject === 'file') {
      files[`${SECRETS_FOLDER}/${name}`] = value;
      env[`${name}_FILE`] = `${SECRETS_FOLDER}/${name}`;
    }
  }
  return { env, files };
}

function picked(values: Readonly<Record<string, string>>, names: readonly string[]): Record<string, string> {
  return Object.fromEntries(Object.entries(values).filter(([name]) => names.includes(name)));
}

function placeholderOf(field: ConfigField): string | number | boolean {
  const [first] = field.enum ?? [];
  if (field.default !== undefined) return field.default;
  if (first !== undefined) return first;
  switch (field.type) {
    case 'number':
      return 0;
    case 'boolean':
      return false;
    case 'directory':
      return '/tmp';
    case 'string':
      return 'placeholder';
  }
}

/** Without repetitions and without what lies below another. */
function outermost(folders: readonly string[]): string[] {
  const unique = [...new Set(folders)];
  return unique.filter(
    (folder) => !unique.some((other) => other !== folder && folder.startsWith(`${other}/`)),
  );
}
