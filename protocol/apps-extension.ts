/**
 * MCP Apps (extension 2026-01-26): a tool names a resource that shows its results, and hosts run that in a frame. Here
 * is only what whoever stands between a host and its server has to know of it.
 */
export const APPS_EXTENSION = 'io.modelcontextprotocol/ui';

/** Type of a resource that is an app. */
export const APP_TYPE = 'text/html;profile=mcp-app';

/** Where a tool names its app: in `_meta.ui.resourceUri`, and as the same was called first, and is by ChatGPT. */
export const FLAT_APP_KEYS = ['ui/resourceUri', 'openai/outputTemplate'] as const;

type WireTool = Readonly<Record<string, unknown>>;

/** The apps of a tool, by URI. They are there to be read whether or not the skill lists them. */
export function appsOf({ _meta: meta }: WireTool): string[] {
  if (!isObject(meta)) return [];
  const nested = isObject(meta['ui']) ? meta['ui']['resourceUri'] : undefined;
  return [nested, ...FLAT_APP_KEYS.map((key) => meta[key])].filter((uri) => typeof uri === 'string');
}

/** Whether a model may see a tool; the others are for apps of the same skill alone. */
export function isForModels(tool: WireTool): boolean {
  return visibilityOf(tool).includes('model');
}

/** Whether apps of the same skill may call a tool. */
export function isForApps(tool: WireTool): boolean {
  return visibilityOf(tool).includes('app');
}

function visibilityOf({ _meta: meta }: WireTool): readonly unknown[] {
  const visibility = isObject(meta) && isObject(meta['ui']) ? meta['ui']['visibility'] : undefined;
  return Array.isArray(visibility) ? visibility : ['model', 'app'];
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
