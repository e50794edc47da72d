import { FLAT_APP_KEYS } from '../protocol/apps-extension.ts';
import type { GatewayRequest } from './mcp/gateway.ts';

/**
 * Where URIs of resources stand in what a skill says, beside its lists. Everything else of it is left as it is: text
 * that looks like a URI is text.
 */

type Said = Record<string, unknown>;
type Rewrite = (uri: string) => string;

/** A tool that refers to its app by another URI. */
export function withToolUris(tool: Said, rewrite: Rewrite): Said {
  const { _meta: meta } = tool;
  if (!isObject(meta)) return tool;
  const { ui } = meta;
  return {
    ...tool,
    _meta: {
      ...meta,
      ...(isObject(ui) ? { ui: withUri(ui, 'resourceUri', rewrite) } : {}),
      ...Object.fromEntries(FLAT_APP_KEYS.flatMap((key) => Object.entries(uriAt(meta, key, rewrite)))),
    },
  };
}

/** A result that refers to resources by other URIs: links, embedded resources, and what was read. */
export function withResultUris(method: GatewayRequest['method'], result: Said, rewrite: Rewrite): Said {
  switch (method) {
    case 'tools/call':
      return each(result, 'content', (block) => withBlockUri(block, rewrite));
    case 'prompts/get':
      return each(result, 'messages', (message) =>
        isObject(message['content'])
          ? { ...message, content: withBlockUri(message['content'], rewrite) }
          : message,
      );
    case 'resources/read':
      return each(result, 'contents', (content) => withUri(content, 'uri', rewrite));
    case 'resources/subscribe':
    case 'completion/complete':
      return result;
  }
}

/** Arguments in which a URI that a client has from here is what the skill calls it. */
export function withArgumentUris(value: unknown, rewrite: Rewrite): unknown {
  if (typeof value === 'string') return rewrite(value);
  if (Array.isArray(value)) return value.map((item) => withArgumentUris(item, rewrite));
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, withArgumentUris(item, rewrite)]),
  );
}

function withBlockUri(block: Said, rewrite: Rewrite): Said {
  if (block['type'] === 'resource_link') return withUri(block, 'uri', rewrite);
  return block['type'] === 'resource' && isObject(block['resource'])
    ? { ...block, resource: withUri(block['resource'], 'uri', rewrite) }
    : block;
}

function each(result: Said, list: string, change: (item: Said) => Said): Said {
  const items = result[list];
  if (!Array.isArray(items)) return result;
  return { ...result, [list]: items.map((item: unknown) => (isObject(item) ? change(item) : item)) };
}

function withUri(said: Said, key: string, rewrite: Rewrite): Said {
  return { ...said, ...uriAt(said, key, rewrite) };
}

function uriAt(said: Said, key: string, rewrite: Rewrite): Said {
  const uri = said[key];
  return typeof uri === 'string' ? { [key]: rewrite(uri) } : {};
}

function isObject(value: unknown): value is Said {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
