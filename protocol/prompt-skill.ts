import { AppError } from './errors.ts';
import type { Manifest } from './manifest.ts';
import { splitName } from './manifest.ts';
import type { Surface } from './surface.ts';

/** The file that makes a package an Agent Skill. */
export const SKILL_FILE = 'SKILL.md';

/** What a person or model may read of a package: its instructions and the text files they refer to. */
const TEXT_TYPES: Readonly<Record<string, string>> = {
  md: 'text/markdown',
  txt: 'text/plain',
  json: 'application/json',
  csv: 'text/csv',
  yaml: 'application/yaml',
  yml: 'application/yaml',
  py: 'text/x-python',
  sh: 'text/x-shellscript',
  js: 'text/javascript',
  ts: 'text/x-typescript',
  html: 'text/html',
};

/** Files that every package has and that are no instructions. */
const OWN_FILES = new Set(['skill.json', 'surface.json']);

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
    resources: [...files.keys()]
      .filter((path) => !OWN_FILES.has(path))
      .toSorted()
      .map((path) => ({
        uri: uriOf(manifest, path),
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
    const found = [...files].find(([path]) => !OWN_FILES.has(path) && uriOf(manifest, path) === uri);
    if (found === undefined)
      throw new AppError('resource-not-found', { detail: `${manifest.name} has no ${uri}.` });
    const [path, bytes] = found;
    const mimeType = mimeTypeOf(path);
    const content = mimeType === BINARY ? { blob: base64(bytes) } : { text: textOf(bytes) };
    return { contents: [{ uri, mimeType, ...content }] };
  }
  if (method === 'completion/complete') return { completion: { values: [] } };
  throw new AppError(method === 'prompts/get' ? 'prompt-not-found' : 'tool-not-found', {
    detail: `${manifest.name} consists of instructions only.`,
  });
}

const BINARY = 'application/octet-stream';

function uriOf(manifest: Manifest, path: string): string {
  return `skill://${manifest.name}/${path.split('/').map(encodeURIComponent).join('/')}`;
}

function mimeTypeOf(path: string): string {
  return TEXT_TYPES[path.slice(path.lastIndexOf('.') + 1).toLowerCase()] ?? BINARY;
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
  return textOf(bytes).replace(/^---\n[\s\S]*?\n---\n+/, '');
}

function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}
