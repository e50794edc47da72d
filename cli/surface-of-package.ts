import { surfaceCapture } from '../hub/launch.ts';
import type { SandboxDriver } from '../hub/sandbox/sandbox.ts';
import { AppError } from '../protocol/errors.ts';
import type { Manifest } from '../protocol/manifest.ts';
import { createLogger } from '../protocol/node/logger.ts';
import type { Surface } from '../protocol/surface.ts';
import { berthVersion } from './version.ts';

/**
 * What a laid-out package says to a model, captured as the hub captures it before an approval: the program started
 * once with no network, scratch folders, made-up config and secrets; a prompt-only package through its files.
 * @throws AppError `pack-failed` for a skill that does not start, with its own words; what the sandbox throws.
 */
export async function surfaceOfPackage(
  { driver }: { driver: SandboxDriver },
  manifest: Manifest,
  packageDir: string,
  files: readonly string[],
): Promise<Surface> {
  const log = createLogger({ level: 'silent', name: 'pack' });
  const capture = surfaceCapture({ driver, identity: { name: 'berth', version: berthVersion() }, log });
  try {
    return await capture(packageDir, manifest, files);
  } catch (error) {
    if (!(error instanceof AppError) || !error.code.startsWith('skill-')) throw error;
    throw new AppError('pack-failed', {
      detail: `Started in the sandbox to record what it offers, the skill failed: ${error.message}`,
      hint: 'It is started without network and with made-up config and secrets: start first, and connect when a tool is called.',
      data: { ...error.data, cause: error.code },
      cause: error,
    });
  }
}
