import { readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import { createLogger } from '../../protocol/node/logger.ts';
import { publicKeyRecordSchema } from '../../protocol/provenance.ts';
import { registryConfigSchema } from '../../registry/config.ts';
import { openAdapters, serveRegistry, type RegistryAdapters } from '../../registry/main.ts';
import type { Change } from '../../registry/store/store.ts';

/**
 * A registry as a process of its own that can be stopped dead at one step: it reports the step on
 * standard output and never goes on. `registry-process.ts` starts it.
 */
const options = z
  .object({
    config: registryConfigSchema,
    keys: z.array(z.object({ namespace: z.string(), record: publicKeyRecordSchema })),
    pauseAt: z.string().optional(),
  })
  .parse(JSON.parse(process.argv[2] ?? ''));

function report(event: Record<string, unknown>): void {
  process.stdout.write(`${JSON.stringify(event)}\n`);
}

let armed = false;

/** Never comes back from the step that was asked for. */
async function reach(step: string): Promise<void> {
  if (!armed || step !== options.pauseAt) return;
  report({ paused: step });
  await new Promise(() => undefined);
}

async function* pausing(chunks: AsyncIterable<Uint8Array>, name: string): AsyncGenerator<Uint8Array> {
  let first = true;
  for await (const chunk of chunks) {
    yield chunk;
    if (first) await reach(`${name} begun`);
    first = false;
  }
  await reach(`${name} ended`);
}

function withPauses({ store, blobs, ...rest }: RegistryAdapters): RegistryAdapters {
  return {
    ...rest,
    blobs: {
      ...blobs,
      put: async (digest, chunks, limits) => {
        const kept = await blobs.put(digest, pausing(chunks, 'upload'), limits);
        await reach('upload stored');
        return kept;
      },
      read: (digest, range) => pausing(blobs.read(digest, range), 'read'),
    },
    store: {
      ...store,
      change: async (work) => {
        await reach('change asked');
        const done = await store.change(async (change) => {
          await reach('change begun');
          const result = await work(pausingChange(change));
          await reach('change done');
          return result;
        });
        await reach('change committed');
        return done;
      },
    },
  };
}

function pausingChange(change: Change): Change {
  return {
    ...change,
    claimNamespace: async (...given) => {
      const claimed = await change.claimNamespace(...given);
      await reach('namespace claimed');
      return claimed;
    },
    appendToLog: async (...given) => {
      await change.appendToLog(...given);
      await reach('log appended');
    },
    addVersion: async (...given) => {
      await change.addVersion(...given);
      await reach('version added');
    },
    setLatest: async (...given) => {
      await change.setLatest(...given);
      await reach('latest set');
    },
  };
}

const log = createLogger({ level: 'error', name: 'registry' });
const registry = await serveRegistry(options.config, withPauses(await openAdapters(options.config)), { log });
for (const { namespace, record } of options.keys) await registry.admin.registerKey(namespace, record);
armed = true;
report({ url: registry.url });

const ballast = join(options.config.dataDir, 'ballast');

/** Writes until the disk is full, so that not even a small block is left. */
async function fillDisk(): Promise<void> {
  for (const size of [1_048_576, 65_536, 4_096]) {
    let full = false;
    while (!full) {
      await writeFile(ballast, Buffer.alloc(size), { flag: 'a' }).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOSPC') throw error;
        full = true;
      });
    }
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  if (line === 'fill') await fillDisk();
  if (line === 'free') await rm(ballast);
  report({ done: line, incoming: await readdir(join(options.config.dataDir, 'blobs', 'incoming')) });
}
