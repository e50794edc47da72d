import { z } from 'zod';
import { LOG_LEVELS } from '../protocol/node/logger.ts';
import { bucketSettings } from '../protocol/node/rate-limit.ts';
import { oauthSchema } from './oauth/config.ts';
import { CAPABILITIES } from './sandbox/sandbox.ts';

/** Every setting of a hub; file `hub.json` in the home, environment `BERTH_HUB_…`. */
export const hubConfigSchema = z.strictObject({
  home: z.string().min(1).describe('Folder that holds everything Berth keeps on this machine.'),
  host: z
    .string()
    .default('127.0.0.1')
    .describe('Address to listen on; loopback unless other machines are meant to reach it.'),
  port: z.int().min(0).max(65_535).default(4750).describe('Port to listen on; 0 takes any free one.'),
  hosts: z.array(z.string()).default([]).describe('Further host names by which clients reach this hub.'),
  origins: z
    .array(z.url())
    .default([])
    .describe('Origins by which clients reach it through a proxy, such as https://hub.example.com.'),
  registry: z
    .string()
    .default('http://127.0.0.1:4751')
    .describe('URL of the registry that skills come from.'),
  sandbox: z
    .enum(['bwrap', 'container'])
    .default('bwrap')
    .describe(
      'What holds skills: bwrap (bubblewrap) or container (podman, experimental). There is no other, and no falling back from one to the other.',
    ),
  requires: z
    .array(z.enum(CAPABILITIES))
    .default([])
    .describe(
      `What the sandbox must enforce before any skill runs, beyond what a skill needs by itself: ${CAPABILITIES.join(', ')}. Demand memory, cpu and pids where one skill must never slow down the others.`,
    ),
  allowUnsandboxed: z
    .boolean()
    .default(false)
    .describe(
      'Whether single skills may be approved to run without any sandbox (--unsandboxed). Such a skill can do everything that the account of the hub can.',
    ),
  container: z
    .strictObject({
      runtime: z
        .string()
        .min(1)
        .max(4096)
        .optional()
        .describe(
          'OCI runtime that podman starts containers with, by name or path, such as runc or crun; absent: its own choice. One whose containers do not pass the probe is not used.',
        ),
    })
    .prefault({}),
  path: z.string().describe('Folders in which bubblewrap and granted programs are looked up, as in PATH.'),
  node: z
    .string()
    .startsWith('/')
    .optional()
    .describe('The Node (20.19 or newer) that skills run with; without it the one that runs the hub.'),
  python: z
    .string()
    .startsWith('/')
    .optional()
    .describe(
      'The Python (3.11 or newer) that skills run with; without it the first python3 on the path that is recent enough.',
    ),
  drainMs: z
    .int()
    .min(0)
    .max(3_600_000)
    .default(30_000)
    .describe(
      'Milliseconds that calls in flight may go on once the hub was told to stop; then they are broken off.',
    ),
  logLevel: z.enum(LOG_LEVELS).default('info').describe('How much goes to the log on standard error.'),
  runner: z
    .strictObject({
      maxChildren: z.int().min(1).max(10_000).default(256).describe('Skill processes at once.'),
      memoryMb: z
        .int()
        .min(256)
        .max(16_777_216)
        .optional()
        .describe(
          'Megabytes that all running skills may take together; beyond that idle ones are stopped to start others. Half of the memory of this machine or container unless set.',
        ),
      warmMb: z
        .int()
        .min(0)
        .max(16_777_216)
        .default(1024)
        .describe(
          'Megabytes that skills may take which were idle for longer than idleStopMs and stay ready, those used last before others; 0 stops each.',
        ),
      startAhead: z
        .int()
        .min(0)
        .max(1_000)
        .default(0)
        .describe(
          'How many of the skills used last are started after the hub, before anybody calls them, as far as warmMb has room.',
        ),
      idleStopMs: z
        .int()
        .min(1_000)
        .default(300_000)
        .describe('Milliseconds after which an idle skill is stopped for which warmMb has no room.'),
      maxLifeMs: z
        .int()
        .min(60_000)
        .max(2_147_483_647)
        .default(86_400_000)
        .describe(
          'Milliseconds that one process of a skill may live, however busy; it finishes its calls, and the next one gets a fresh process.',
        ),
    })
    .prefault({}),
  tasks: z
    .strictObject({
      afterMs: z
        .int()
        .min(0)
        .default(5_000)
        .describe('Milliseconds after which a call goes on as a task, for clients that know tasks.'),
      ttlMs: z
        .int()
        .min(1_000)
        .default(3_600_000)
        .describe('Milliseconds that a task may go on, and that its ending is kept.'),
    })
    .prefault({}),
  rate: z.strictObject({ client: bucketSettings(600_000, 20_000, 'a client') }).prefault({}),
  sandboxCa: z
    .string()
    .min(1)
    .optional()
    .describe(
      'PEM file of CA certificates, by its absolute path, that skills trust beside the public ones: those of a company.',
    ),
  clientMetadataUrl: z
    .url({ protocol: /^https$/ })
    .max(2048)
    .optional()
    .describe(
      'Address of a public document that says who this hub is, for authorization servers of remote skills that read one (OAuth client ID metadata).',
    ),
  oauth: oauthSchema.optional(),
});

export type HubConfig = z.output<typeof hubConfigSchema>;
