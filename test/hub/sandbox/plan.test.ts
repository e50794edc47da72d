import { describe, expect, it } from 'vitest';
import { capturePlan, sandboxPlan } from '../../../hub/sandbox/plan.ts';
import { parseManifest } from '../../../protocol/manifest.ts';
import { NO_PERMISSIONS, normalise } from '../../../protocol/permissions.ts';
import { expectCode } from '../../support/expect-code.ts';
import { verifies } from '../../support/verifies.ts';

const manifest = parseManifest(
  JSON.stringify({
    name: 'org.example/skill',
    version: '1.0.0',
    title: 'Skill',
    description: 'A skill.',
    license: 'MIT',
    runtime: {
      kind: 'node',
      entry: 'server/index.ts',
      args: ['${workspace}', '--out=${data}/out', '--docs', '${config.docs}', '--level=${config.level}'],
      protocol: '2026-07-28',
    },
    config: {
      docs: { type: 'directory', title: 'Documents' },
      level: { type: 'number', title: 'Level', default: 3 },
      mood: { type: 'string', title: 'Mood' },
      loud: { type: 'boolean', title: 'Loud' },
    },
    permissions: {
      network: [{ host: 'api.example.com', ports: [443], protocol: 'tls', reason: 'data' }],
      filesystem: [
        { path: '${workspace}', mode: 'rw', reason: 'work' },
        { path: '${data}', mode: 'rw', reason: 'memory' },
        { path: '${config.docs}', mode: 'r', reason: 'reading' },
      ],
      secrets: [
        { name: 'API_KEY', required: true, inject: 'env', reason: 'access' },
        { name: 'CERT', required: false, inject: 'file', reason: 'access' },
      ],
      env: ['TZ'],
      subprocess: [{ exec: 'git', reason: 'history' }],
      resources: { memoryMb: 128 },
    },
  }),
);
const permissions = normalise(manifest.permissions);
const runtime = manifest.runtime as Extract<typeof manifest.runtime, { kind: 'node' }>;
const work = { device: '1', inode: '2', born: '3' };
const request = {
  label: 'org.example/skill@1.0.0',
  holder: { skill: 'org.example/skill', user: 'ann' },
  packageDir: '/home/packages/abc',
  runtime,
  permissions,
  bindings: { workspace: '/srv/work', data: '/home/data/u/s', config: { docs: '/srv/docs', level: 5 } },
  secrets: { API_KEY: 'k', CERT: 'pem', OTHER: 'not asked for' },
  env: { TZ: 'Europe/Berlin', HUB_TOKEN: 'not asked for' },
  folders: { '/srv/work': work },
};

describe('a plan', () => {
  it('holds exactly what was granted', verifies('sandbox.plan'), () => {
    expect(sandboxPlan(request)).toEqual({
      holder: { skill: 'org.example/skill', user: 'ann', background: false },
      label: 'org.example/skill@1.0.0',
      packageDir: '/home/packages/abc',
      runtime: {
        kind: 'node',
        entry: 'server/index.ts',
        args: ['/workspace', '--out=/data/out', '--docs', '/grants/1', '--level=5'],
      },
      mounts: [
        { source: '/home/data/u/s', target: '/data', mode: 'rw', root: '/home/data/u/s' },
        { source: '/srv/docs', target: '/grants/1', mode: 'r', root: '/srv/docs', identity: 'no folder' },
        { source: '/srv/work', target: '/workspace', mode: 'rw', root: '/srv/work', identity: work },
      ],
      dataDir: '/home/data/u/s',
      scratch: [],
      files: { '/run/secrets/CERT': 'pem' },
      env: {
        TZ: 'Europe/Berlin',
        API_KEY: 'k',
        CERT_FILE: '/run/secrets/CERT',
        BERTH_CONFIG: '{"docs":"/grants/1","level":5}',
        BERTH_CONFIG_DOCS: '/grants/1',
        BERTH_CONFIG_LEVEL: '5',
      },
      programs: ['git'],
      network: [{ host: 'api.example.com', port: 443, protocol: 'tls' }],
      limits: { memoryMb: 128, cpus: 1, pids: 32, diskMb: 64 },
    });
  });

  it('is read-only altogether where it is told to', verifies('folders.read-only-tools'), () => {
    expect(sandboxPlan(request)).not.toHaveProperty('readOnly');
    expect(sandboxPlan({ ...request, readOnly: true })).toEqual({ ...sandboxPlan(request), readOnly: true });
  });

  it('holds nothing where nothing was granted, whatever values there are', verifies('sandbox.plan'), () => {
    const plain = { ...runtime, args: [] };
    const plan = sandboxPlan({ ...request, runtime: plain, permissions: NO_PERMISSIONS });
    expect(plan).toMatchObject({ mounts: [], files: {}, programs: [], network: [] });
    expect(Object.keys(plan.env).filter((name) => !name.startsWith('BERTH_CONFIG'))).toEqual([]);
  });

  it('is not made without a required secret or a folder', verifies('sandbox.plan'), async () => {
    const missing = await expectCode(() => sandboxPlan({ ...request, secrets: {} }), 'binding-missing');
    expect(missing.message).toContain('API_KEY');
    const { workspace: _, ...bindings } = request.bindings;
    await expectCode(() => sandboxPlan({ ...request, bindings }), 'binding-missing');
  });
});

describe('a capture', () => {
  it('gets scratch folders, made-up values and no grant', verifies('sandbox.plan'), () => {
    const plan = capturePlan({ label: request.label, packageDir: request.packageDir, runtime, manifest });
    expect(plan).toMatchObject({
      runtime: { args: ['/workspace', '--out=/data/out', '--docs', '/grants/1', '--level=3'] },
      mounts: [],
      scratch: ['/workspace', '/data', '/grants/1'],
      files: { '/run/secrets/CERT': 'placeholder' },
      programs: [],
      network: [],
    });
    expect(plan.dataDir).toBeUndefined();
    expect(plan.env).toEqual({
      API_KEY: 'placeholder',
      CERT_FILE: '/run/secrets/CERT',
      BERTH_CONFIG: '{"docs":"/grants/1","level":3,"mood":"placeholder","loud":false}',
      BERTH_CONFIG_DOCS: '/grants/1',
      BERTH_CONFIG_LEVEL: '3',
      BERTH_CONFIG_MOOD: 'placeholder',
      BERTH_CONFIG_LOUD: 'false',
    });
  });
});
