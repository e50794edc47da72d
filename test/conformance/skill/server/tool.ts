import {
  CLIENT_CAPABILITIES_META_KEY,
  type CallToolResult,
  type ClientCapabilities,
  type InputRequiredResult,
  type JSONObject,
  type ServerContext,
  type Tool,
} from '@modelcontextprotocol/server';

/** What a tool may come to: a result, or a question to the client. */
export type Outcome = CallToolResult | InputRequiredResult;

/** A tool as the fixture keeps it: what is listed, and what runs. */
export interface FixtureTool {
  description: string;
  /** JSON Schema as it is listed; absent means no arguments. */
  inputSchema?: JSONObject;
  /** Asks the hub to make a task of each call; absent, a call becomes one when it takes long. */
  taskSupport?: 'optional' | 'required';
  run(args: Record<string, unknown>, context: ServerContext): Outcome | Promise<Outcome>;
}

/** Tools by name. */
export type FixtureTools = Readonly<Record<string, FixtureTool>>;

/** The tool as `tools/list` shows it. */
export function listed(name: string, { description, inputSchema, taskSupport }: FixtureTool): Tool {
  return {
    name,
    description,
    inputSchema: { type: 'object', ...inputSchema },
    ...(taskSupport === undefined ? {} : { _meta: { 'dev.berth/taskSupport': taskSupport } }),
  };
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
