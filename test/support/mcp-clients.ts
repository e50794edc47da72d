import {
  Client as NewClient,
  type ClientOptions,
  StreamableHTTPClientTransport as NewTransport,
} from '@modelcontextprotocol/client';
import { Client as OldClient } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as OldTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { onTestFinished } from 'vitest';

const INFO = { name: 'test-client', version: '1.0.0' };

/** Where a client of a test comes in, and as whom. */
export interface Entrance {
  url: string;
  token: string;
  /** What it says that it can do. */
  capabilities?: object | undefined;
}

/** The client of the v1 SDK, connected until the end of the test. */
export async function oldClient({ url, token, capabilities = {} }: Entrance): Promise<OldClient> {
  const client = new OldClient(INFO, { capabilities });
  await client.connect(new OldTransport(new URL(url), { requestInit: bearer(token) }));
  onTestFinished(() => client.close());
  return client;
}

/** The client of the v2 SDK, of 2026-07-28 unless another way to choose its revision is given. */
export async function newClient(
  { url, token, capabilities = {} }: Entrance,
  mode: NonNullable<ClientOptions['versionNegotiation']>['mode'] = { pin: '2026-07-28' },
): Promise<NewClient> {
  const client = new NewClient(INFO, { capabilities, versionNegotiation: { mode } });
  await client.connect(new NewTransport(new URL(url), { requestInit: bearer(token) }));
  onTestFinished(() => client.close());
  return client;
}

function bearer(token: string): { headers: Record<string, string> } {
  return { headers: { authorization: `Bearer ${token}` } };
}
