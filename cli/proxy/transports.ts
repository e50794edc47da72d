import { StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { statusOf } from './failures.ts';
import { hubFetch, notRunning } from './hub-fetch.ts';
import type { BridgeParts } from './bridge.ts';

/** How soon the stream for what the hub says unasked is asked for again; slower each time. */
const FIRST_RETRY_MS = 250;
const LAST_RETRY_MS = 5_000;

export interface TransportParts {
  /** The path of the door. */
  path: string;
  /** The URL of the hub; undefined while none runs. */
  hub: () => Promise<string | undefined>;
  token: () => Promise<string>;
}

/**
 * Makes transports to one door of the hub. The SDK's own carries whole messages in both eras, and sets headers,
 * sessions and streams by what is in them; it knows neither where the hub is nor the token, which `hubFetch` adds.
 */
export function hubTransports({ path, hub, token }: TransportParts): BridgeParts['connect'] {
  const address = async (): Promise<URL> => {
    const base = await hub();
    if (base === undefined) throw notRunning();
    return new URL(path, base);
  };
  const fetch = hubFetch({ address, token });
  return (heard, failed) => {
    let refused = false;
    const transport = new StreamableHTTPClientTransport(new URL(path, 'http://hub.invalid'), {
      fetch,
      reconnectionOptions: {
        initialReconnectionDelay: FIRST_RETRY_MS,
        maxReconnectionDelay: LAST_RETRY_MS,
        reconnectionDelayGrowFactor: 1.5,
        maxRetries: Infinity,
      },
      reconnectionScheduler(reconnect, delay) {
        // Asking again with a token that was refused would go on for ever; the next request tells the client.
        if (refused) return undefined;
        const timer = setTimeout(reconnect, delay);
        return () => clearTimeout(timer);
      },
    });
    // oxlint-disable-next-line unicorn/prefer-add-event-listener -- the SDK's callbacks are no event targets
    transport.onmessage = heard;
    // oxlint-disable-next-line unicorn/prefer-add-event-listener -- as above
    transport.onerror = (error) => {
      refused = statusOf(error) === 401;
      failed(error);
    };
    void transport.start();
    return transport;
  };
}
