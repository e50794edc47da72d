import { type Manifest, parseManifest } from '../../protocol/manifest.ts';
import { normalise } from '../../protocol/permissions.ts';
import type { Answer } from '../../protocol/policy.ts';
import { type Surface, surfaceSchema } from '../../protocol/surface.ts';
import { type InstalledSkill, toolsOf } from '../../hub/installed.ts';

/** An installed skill as the hub holds it in memory, for tests of pure parts. */
export function installedSkill(
  given: {
    name?: string;
    alias?: string;
    version?: string;
    manifest?: Record<string, unknown>;
    surface?: Partial<Record<keyof Surface, unknown>>;
    answers?: Record<string, Answer>;
  } & Partial<
    Pick<
      InstalledSkill,
      'quarantine' | 'blocked' | 'lacks' | 'installedAt' | 'epoch' | 'digest' | 'files' | 'agentSkill'
    >
  > = {},
): InstalledSkill {
  const name = given.name ?? 'local.test/echo';
  const manifest: Manifest = parseManifest(
    JSON.stringify({
      name,
      version: given.version ?? '1.0.0',
      title: 'Echo',
      description: 'Says it again',
      license: 'MIT',
      runtime: { kind: 'node', entry: 'server/index.js', protocol: '2026-07-28' },
      ...given.manifest,
    }),
  );
  const surface = surfaceSchema.parse({
    tools: [],
    prompts: [],
    resources: [],
    resourceTemplates: [],
    capabilities: {},
    ...given.surface,
  });
  const permissions = normalise(manifest.permissions);
  return {
    name,
    alias: given.alias ?? name.split('/')[1] ?? name,
    version: manifest.version,
    digest: given.digest ?? `sha256:${'0'.repeat(64)}`,
    signer: 'key:test',
    manifest,
    surface,
    permissions,
    grants: [],
    workspace: undefined,
    config: {},
    folders: {},
    tools: toolsOf(manifest, surface, permissions, new Map(Object.entries(given.answers ?? {}))),
    files: given.files ?? {},
    packageDir: '/nowhere',
    agentSkill: given.agentSkill,
    epoch: given.epoch ?? 1,
    quarantine: given.quarantine,
    unsandboxed: false,
    lacks: given.lacks ?? [],
    blocked: given.blocked,
    installedAt: given.installedAt ?? '2026-01-01T00:00:00.000Z',
  };
}

/** A tool as a surface lists it. */
export function tool(name: string, more: Record<string, unknown> = {}): Record<string, unknown> {
  return { name, description: `Does ${name}`, inputSchema: { type: 'object' }, ...more };
}
