import { AppError } from './errors.ts';
import type { Manifest } from './manifest.ts';
import { splitName } from './manifest.ts';
import { contentsOf, fileUri, mimeTypeOf, readablePaths, SKILL_FILE } from './package-files.ts';
import type { Surface } from './surface.ts';

/**
 * The surface of a skill without a program (`prompt-only`): one prompt, named as the skill, that answers with its
 * instructions, and each file as a resource under `skill://<namespace>/<name>/`.
 * @throws AppError `archive-incomplete` without a SKILL.md.
 */
export function packageSurface(manifest: Manifest, files: ReadonlyMap<string, Uint8Array>): Surface {
  instructionsOf(files);
  return {
    tools: [],
    prompts: [
      { name: splitName(manifest.name).name, title: manifest.title, description: manifest.description },
    ],
    resources: readablePaths(manifest, files.keys()).map((path) => ({
      uri: fileUri(manifest.name, path),
      name: path,
      mimeType: mimeTypeOf(path),
      size: files.get(path)?.length ?? 0,
    })),
    resourceTemplates: [],
    capabilities: {},
  };
}

/**
 * Answers an MCP request from the files of a package.
 * @throws AppError `prompt-not-found`, `resource-not-found`, `tool-not-found`.
 */
export function answerFromPackage(
  manifest: Manifest,
  files: ReadonlyMap<string, Uint8Array>,
  request: { method: string; params: Record<string, unknown> },
): Record<string, unknown> {
  const { method, params } = request;
  if (method === 'prompts/get' && params['name'] === splitName(manifest.name).name) {
    return {
      description: manifest.description,
      messages: [{ role: 'user', content: { type: 'text', text: instructionsOf(files) } }],
    };
  }
  if (method === 'resources/read') {
    const uri = String(params['uri']);
    const path = readablePaths(manifest, files.keys()).find((at) => fileUri(manifest.name, at) === uri);
    const bytes = path === undefined ? undefined : files.get(path);
    if (path === undefined || bytes === undefined)
      throw new AppError('resource-not-found', { detail: `${manifest.name} has no ${uri}.` });
    return contentsOf(uri, path, bytes);
  }
  if (method === 'completion/complete') return { completion: { values: [] } };
  throw new AppError(method === 'prompts/get' ? 'prompt-not-found' : 'tool-not-found', {
    detail: `${manifest.name} consists of instructions only.`,
  });
}

/** The text of SKILL.md below its front matter. */
function instructionsOf(files: ReadonlyMap<string, Uint8Array>): string {
  const bytes = files.get(SKILL_FILE);
  if (bytes === undefined) {
    throw new AppError('archive-incomplete', {
      detail: `A prompt-only skill needs a ${SKILL_FILE}.`,
      hint: `Add ${SKILL_FILE} with the front matter fields name and description.`,
    });
  }
  return new TextDecoder().decode(bytes).replace(/^---\n[\s\S]*?\n---\n+/, '');
}
