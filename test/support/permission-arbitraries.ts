import * as fc from 'fast-check';
import { permissionsSchema, RESOURCE_BOUNDS, type Permissions } from '../../protocol/permissions.ts';

/** Few words, so that generated permissions often overlap. */
const HOSTS = [
  'x.org',
  'a.x.org',
  'b.a.x.org',
  '*.x.org',
  '*.a.x.org',
  'notx.org',
  '10.0.0.1',
  '::1',
  '${config.host}',
  '${config.other}',
];
const PATHS = [
  '${workspace}',
  '${workspace}/a',
  '${workspace}/a/b',
  '${workspace}/ab',
  '${workspace}/.git',
  '${workspace}/.git/hooks',
  '${workspace}/.git/objects',
  '${workspace}/a/.git',
  '${data}/.git/hooks',
  '${data}',
  '${data}/a',
  '${config.folder}',
  '${config.folder}/a',
  '${config.folder2}',
];

const few = <T>(entry: fc.Arbitrary<T>) => fc.array(entry, { maxLength: 4 });
const between = ({ min, max }: { min: number; max: number }) =>
  fc.constantFrom(min, Math.ceil((min + max) / 2), max);

/** Permissions in normal form. */
export const anyPermissions: fc.Arbitrary<Permissions> = fc
  .record({
    network: few(
      fc.record(
        {
          host: fc.constantFrom(...HOSTS),
          port: fc.constantFrom(80, 443),
          protocol: fc.constantFrom('tls', 'http', 'tcp'),
          address: fc.constantFrom('10.0.0.1', '::1'),
        },
        { requiredKeys: ['host', 'port', 'protocol'] },
      ),
    ),
    filesystem: few(fc.record({ path: fc.constantFrom(...PATHS), mode: fc.constantFrom('r', 'rw') })),
    secrets: few(
      fc.record({
        name: fc.constantFrom('KEY', 'TOKEN'),
        required: fc.boolean(),
        inject: fc.constantFrom('env', 'file', 'header:x.org:x-key'),
      }),
    ),
    env: few(fc.constantFrom('TZ', 'LANG', 'EDITION')),
    subprocess: few(fc.constantFrom('git', 'ffmpeg')),
    background: fc.boolean(),
    mcp: fc.record({ sampling: fc.boolean(), elicitation: fc.boolean(), roots: fc.boolean() }),
    resources: fc.record({
      memoryMb: between(RESOURCE_BOUNDS.memoryMb),
      cpus: between(RESOURCE_BOUNDS.cpus),
      pids: between(RESOURCE_BOUNDS.pids),
      timeoutMs: between(RESOURCE_BOUNDS.timeoutMs),
      diskMb: between(RESOURCE_BOUNDS.diskMb),
    }),
  })
  .map((raw) => permissionsSchema.parse(raw));

/** Pairs of which the first often covers the second: the hard cases of a comparison. */
export const relatedPermissions: fc.Arbitrary<[Permissions, Permissions]> = fc
  .tuple(anyPermissions, anyPermissions, fc.boolean(), fc.boolean())
  .map(([a, b, related, moved]) => {
    if (!related) return [a, b];
    const kept = a.network.filter((_, index) => index % 2 === 0);
    const network = moved ? kept.map(({ host, port, protocol }) => ({ host, port, protocol })) : kept;
    const filesystem = a.filesystem.map(({ path }) => ({ path, mode: 'r' as const }));
    return [a, permissionsSchema.parse({ ...a, network, filesystem, background: false, mcp: b.mcp })];
  });
