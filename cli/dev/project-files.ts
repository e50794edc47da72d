import { chmod, mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { permissionsSchema } from '../../protocol/permissions.ts';
import type { Used } from './learning.ts';

const FOLDER = '.berth';
const RECORDING_MAX_BYTES = 4 * 1024 * 1024;

/** What a recorded session of a skill used, beside its project; nothing of it is packed. */
export interface Recording {
  skill: string;
  /** RFC 3339. */
  recorded: string;
  used: Used;
}

const recordingSchema = z.strictObject({
  version: z.literal(1),
  skill: z.string().max(200),
  recorded: z.iso.datetime(),
  used: z.strictObject({
    network: permissionsSchema.shape.network,
    filesystem: permissionsSchema.shape.filesystem,
    subprocess: permissionsSchema.shape.subprocess,
    env: permissionsSchema.shape.env,
  }),
});

/** Files that `berth dev` keeps in a project: one folder, which tells git to leave it out. */
export function projectFiles(project: string) {
  const folder = join(project, FOLDER);
  const recording = join(folder, 'session.json');
  const manifest = join(project, 'skill.json');
  const before = join(folder, 'skill.json.before');
  async function makeFolder(): Promise<void> {
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, '.gitignore'), '*\n', { flag: 'wx' }).catch(() => undefined);
  }
  return {
    manifest,
    /** What the manifest was before the session changed it. */
    before,
    readManifest: () => readFile(manifest, 'utf8'),
    async keepManifest(text: string): Promise<void> {
      await makeFolder();
      await writeFile(before, text);
    },
    /** In one step, with the rights that the file has. */
    async writeManifest(text: string): Promise<void> {
      const { mode } = await stat(manifest);
      const fresh = join(project, `.skill.json.${process.pid}`);
      await writeFile(fresh, text, { flag: 'wx' });
      await chmod(fresh, mode & 0o777);
      await rename(fresh, manifest);
    },
    async writeRecording(made: Recording): Promise<void> {
      await makeFolder();
      await writeFile(recording, `${JSON.stringify({ version: 1, ...made }, undefined, 2)}\n`);
    },
    /** Undefined where there is none, or one that is not a recording of this Berth. */
    async readRecording(): Promise<Recording | undefined> {
      const found = await stat(recording).catch(() => undefined);
      if (found?.isFile() !== true || found.size > RECORDING_MAX_BYTES) return undefined;
      const parsed = recordingSchema.safeParse(asJson(await readFile(recording, 'utf8')));
      if (!parsed.success) return undefined;
      const { version: _, ...read } = parsed.data;
      return read;
    },
  };
}

function asJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
