import { z } from 'zod';

/** What every skill gets without asking: enough to start and to answer, for one call at a time. */
export const DEFAULT_RESOURCES = {
  memoryMb: 256,
  cpus: 1,
  pids: 32,
  timeoutMs: 30_000,
  diskMb: 64,
} as const;

/** The least and the most that may be asked. Below the least no runtime starts. */
export const RESOURCE_BOUNDS = {
  memoryMb: { min: 32, max: 16_384 },
  cpus: { min: 0.1, max: 64 },
  pids: { min: 16, max: 4096 },
  timeoutMs: { min: 100, max: 3_600_000 },
  diskMb: { min: 1, max: 10_240 },
} as const;

export type ResourceName = keyof typeof DEFAULT_RESOURCES;
export const RESOURCE_NAMES = Object.keys(DEFAULT_RESOURCES) as ResourceName[];

/** How many entries one list of a manifest's permissions may hold, and how many ports one host. */
export const MAX_ENTRIES = 128;
export const MAX_PORTS = 16;
/** How many entries a set may hold: room for the union of two versions' permissions. */
const MAX_SET = 2 * MAX_ENTRIES;
/** How many characters a host may have (RFC 1035 §2.3.4), or a reference to a config value. */
export const MAX_HOST = 253;
/** How many characters a granted path may have. */
export const MAX_PATH = 240;

export const networkProtocolSchema = z.enum(['tls', 'http', 'tcp']);
export const fileModeSchema = z.enum(['r', 'rw']);
export const portSchema = z.int().min(1).max(65_535);
/** In a sandbox this port is the hub's own, which answers there for names. */
export const NAME_SERVER_PORT = 53;

const resource = (name: ResourceName) => {
  const { min, max } = RESOURCE_BOUNDS[name];
  return (name === 'cpus' ? z.number() : z.int()).min(min).max(max);
};

/** A value for each resource; megabytes, processors, processes, milliseconds. */
export const resourcesSchema = z.strictObject({
  memoryMb: resource('memoryMb'),
  cpus: resource('cpus'),
  pids: resource('pids'),
  timeoutMs: resource('timeoutMs'),
  diskMb: resource('diskMb'),
});

/** The shape of the normalised form, before it is put in order. */
export const shapeSchema = z.strictObject({
  network: z
    .array(
      z.strictObject({
        host: z.string().min(1).max(MAX_HOST),
        port: portSchema,
        protocol: networkProtocolSchema,
        /** The one address that an admin named for the host; no manifest can. */
        address: z.string().min(2).max(45).exactOptional(),
      }),
    )
    .max(MAX_SET * MAX_PORTS),
  filesystem: z
    .array(z.strictObject({ path: z.string().min(1).max(MAX_PATH), mode: fileModeSchema }))
    .max(MAX_SET),
  secrets: z
    .array(
      z.strictObject({
        name: z.string().min(1).max(64),
        required: z.boolean(),
        inject: z.string().min(1).max(400),
      }),
    )
    .max(MAX_SET),
  env: z.array(z.string().min(1).max(64)).max(MAX_SET),
  subprocess: z.array(z.string().min(1).max(64)).max(MAX_SET),
  background: z.boolean(),
  mcp: z.strictObject({ sampling: z.boolean(), elicitation: z.boolean(), roots: z.boolean() }),
  resources: resourcesSchema,
});

/**
 * A set of permissions in normal form: what is asked, what is granted, and what is left of a grant
 * after narrowing all have this one shape. Lists are sorted and hold no entry that another covers,
 * so equal permissions are equal values.
 */
export type Permissions = z.infer<typeof shapeSchema>;

export type NetworkPermission = Permissions['network'][number];
export type FilePermission = Permissions['filesystem'][number];
export type SecretPermission = Permissions['secrets'][number];
export type Resources = Permissions['resources'];

/** What a manifest without permissions asks: nothing but the resources that every skill gets. */
export const NO_PERMISSIONS: Permissions = deepFreeze({
  network: [],
  filesystem: [],
  secrets: [],
  env: [],
  subprocess: [],
  background: false,
  mcp: { sampling: false, elicitation: false, roots: false },
  resources: { ...DEFAULT_RESOURCES },
});

/** The bottom of the lattice: every set of permissions covers it, the most modest one too. */
export const LEAST_PERMISSIONS: Permissions = deepFreeze({
  ...NO_PERMISSIONS,
  resources: {
    memoryMb: RESOURCE_BOUNDS.memoryMb.min,
    cpus: RESOURCE_BOUNDS.cpus.min,
    pids: RESOURCE_BOUNDS.pids.min,
    timeoutMs: RESOURCE_BOUNDS.timeoutMs.min,
    diskMb: RESOURCE_BOUNDS.diskMb.min,
  },
});

/** Shared constants are frozen all the way down: one caller's `push` must not become everyone's grant. */
function deepFreeze<T extends object>(value: T): T {
  for (const member of Object.values(value)) {
    if (typeof member === 'object' && member !== null) deepFreeze(member);
  }
  return Object.freeze(value);
}
