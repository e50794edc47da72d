import type { ServerEvent } from '@modelcontextprotocol/server';
import { z } from 'zod';
import { AppError } from '../../protocol/errors.ts';
import { MAX_SUBSCRIPTIONS } from './session-subscriptions.ts';
import type { Gateway, Principal, Scope } from './gateway.ts';
import { uriSchema } from './requests.ts';

/** The resources that the `subscriptions/listen` streams of one client at one door want to hear of. */
export interface WatchedResources {
  /** Hears of every change; the SDK picks what each stream asked for. */
  listen(listener: (event: ServerEvent) => void): () => void;
  /** Subscribes to what a request asks for, if it is one of these; answers with the way to give it back. */
  hold(body: unknown): Promise<() => void>;
}

const listenRequest = z.object({
  method: z.literal('subscriptions/listen'),
  params: z.object({
    notifications: z.object({ resourceSubscriptions: z.array(uriSchema).optional() }),
  }),
});

/** However many streams want one resource, the skill is asked once and each stream hears of a change once. */
export function watchedResources(
  gateway: Pick<Gateway, 'subscribe'>,
  principal: Principal,
  scope: Scope,
): WatchedResources {
  const listeners = new Set<(event: ServerEvent) => void>();
  const watched = new Map<string, { streams: number; stop: Promise<() => void> }>();

  function take(uri: string): Promise<unknown> {
    const known = watched.get(uri);
    if (known !== undefined) {
      known.streams += 1;
      return known.stop;
    }
    const stop = gateway.subscribe(principal, scope, uri, () => {
      for (const listener of listeners) listener({ kind: 'resource_updated', uri });
    });
    watched.set(uri, { streams: 1, stop });
    return stop;
  }

  function giveBack(uri: string): void {
    const known = watched.get(uri);
    if (known === undefined) return;
    known.streams -= 1;
    if (known.streams > 0) return;
    watched.delete(uri);
    known.stop.then((stop) => stop()).catch(() => undefined);
  }

  return {
    listen(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    async hold(body) {
      const wanted = listenRequest.safeParse(body).data?.params.notifications.resourceSubscriptions ?? [];
      const uris = [...new Set(wanted)];
      if (uris.length > MAX_SUBSCRIPTIONS) {
        throw new AppError('request-invalid', {
          detail: `One stream listens to at most ${MAX_SUBSCRIPTIONS} resources.`,
        });
      }
      const release = (): void => uris.forEach(giveBack);
      try {
        await Promise.all(uris.map(take));
      } catch (error) {
        release();
        throw error;
      }
      return release;
    },
  };
}
