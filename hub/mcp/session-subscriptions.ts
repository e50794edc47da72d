import type { Result, Server } from '@modelcontextprotocol/server';
import { z } from 'zod';
import type { Gateway } from './gateway.ts';
import { invalidParams, parsed, uriSchema } from './requests.ts';
import type { Visitor } from './visitor.ts';

/** Resources that one session, or one stream, may listen to. */
export const MAX_SUBSCRIPTIONS = 256;
const SUBSCRIPTIONS = { 'resources/subscribe': true, 'resources/unsubscribe': true } as const;
const subscriptionParams = z.object({ uri: uriSchema });

/** Whether a method begins or ends a subscription of a session. */
export function isSubscription(method: string): method is keyof typeof SUBSCRIPTIONS {
  return Object.hasOwn(SUBSCRIPTIONS, method);
}

/** Up to 2025-11-25 a session subscribes by requests and hears on the stream that it has open. */
export async function subscribed(
  gateway: Gateway,
  { principal, scope, session: { subscriptions } }: Visitor,
  server: Server,
  method: keyof typeof SUBSCRIPTIONS,
  params: unknown,
): Promise<Result> {
  const { uri: about } = parsed(subscriptionParams, params);
  if (method === 'resources/unsubscribe') {
    subscriptions.get(about)?.();
    subscriptions.delete(about);
    return {};
  }
  if (subscriptions.has(about)) return {};
  if (subscriptions.size >= MAX_SUBSCRIPTIONS)
    throw invalidParams('This session has too many subscriptions.');
  const stop = await gateway.subscribe(principal, scope, about, () => {
    const notification = { method: 'notifications/resources/updated', params: { uri: about } };
    // Whoever has gone away needs nothing any more.
    server.notification(notification).catch(() => undefined);
  });
  subscriptions.set(about, stop);
  return {};
}
