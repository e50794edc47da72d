import {
  CLIENT_CAPABILITIES_META_KEY,
  type CallToolResult,
  type ClientCapabilities,
  type InputRequiredResult,
  type JSONObject,
  type Result,
  type ServerContext,
  type Tool,
} from '@modelcontextprotocol/server';

/** What a tool may come to: a result, a question to the client, or a task that goes on without the call. */
export type Outcome = CallToolResult | InputRequiredResult | Result;

/** A tool as the fixture keeps it: what is listed, and what runs. */
export interface FixtureTool {
  description: string;
  /** JSON Schema as it is listed; absent means no arguments. */
  inputSchema?: JSONObject;
  run(args: Record<string, unknown>, context: ServerContext): Outcome | Promise<Outcome>;
}

/** Tools by name. */
export type FixtureTools = Readonly<Record<string, FixtureTool>>;

/** The tool as `tools/list` shows it. */
export function listed(name: string, { description, inputSchema }: FixtureTool): Tool {
  return { name, description, inputSchema: { type: 'object', ...inputSchema } };
}

/** A result of one text. */
export function text(words: string): CallToolResult {
  return { content: [{ type: 'text', text: words }] };
}

/** What the client of this request says it can do; in the era of sessions no request says it. */
export function capabilitiesIn({ mcpReq }: ServerContext): ClientCapabilities {
  const envelope = mcpReq.envelope as Record<string, ClientCapabilities | undefined> | undefined;
  return envelope?.[CLIENT_CAPABILITIES_META_KEY] ?? {};
}
