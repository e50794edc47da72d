import type { Logger } from '../protocol/node/logger.ts';

/** A resource as one process serves it: of a skill, for a user. */
export interface ServedResource {
  skill: string;
  user: string;
  uri: string;
}

interface SubscriptionsParts {
  /** Asks the skill to tell of changes; it was decided before. */
  renew: (resource: ServedResource) => Promise<unknown>;
  /** Tells the skill that nobody listens any more. */
  release: (resource: ServedResource) => Promise<unknown>;
  log: Logger;
}

/** Who wants to hear of changes of which resource. A skill is asked once, however many listen. */
export interface Subscriptions {
  /** Listens, once `begin` has asked the skill; answers with the way to stop. Rejects as `begin` does. */
  listen(resource: ServedResource, begin: () => Promise<unknown>, updated: () => void): Promise<() => void>;
  /** A skill says that a resource changed. */
  updated(resource: ServedResource): void;
  /** The process of a skill ended: what was asked of it is forgotten there. */
  ended(skill: string, user: string): void;
  /** A new process has come: it is asked again, and whoever listens looks again at what may have changed meanwhile. */
  started(skill: string, user: string): void;
}

interface Entry {
  resource: ServedResource;
  listeners: Set<() => void>;
  state: 'beginning' | 'told' | 'lost';
}

/** Keeps the subscriptions of a hub, in memory: they end with the sessions and streams that they are for. */
export function createSubscriptions({ renew, release, log }: SubscriptionsParts): Subscriptions {
  const entries = new Map<string, Entry>();
  const keyOf = ({ skill, user, uri }: ServedResource) => JSON.stringify([skill, user, uri]);
  const of = (skill: string, user: string) =>
    [...entries.values()].filter(({ resource }) => resource.skill === skill && resource.user === user);

  function stopListening(key: string, entry: Entry, updated: () => void): void {
    if (!entry.listeners.delete(updated) || entry.listeners.size > 0) return;
    if (entries.get(key) === entry) entries.delete(key);
    if (entry.state !== 'told') return;
    release(entry.resource).catch((err: unknown) => log.debug({ err }, 'a subscription could not be ended'));
  }

  return {
    async listen(resource, begin, updated) {
      const key = keyOf(resource);
      const entry: Entry = entries.get(key) ?? { resource, listeners: new Set(), state: 'beginning' };
      entries.set(key, entry);
      entry.listeners.add(updated);
      try {
        await begin();
      } catch (error) {
        stopListening(key, entry, updated);
        throw error;
      }
      entry.state = 'told';
      return () => stopListening(key, entry, updated);
    },
    updated(resource) {
      for (const tell of entries.get(keyOf(resource))?.listeners ?? []) tell();
    },
    ended(skill, user) {
      for (const entry of of(skill, user)) if (entry.state === 'told') entry.state = 'lost';
    },
    started(skill, user) {
      for (const entry of of(skill, user).filter(({ state }) => state === 'lost')) {
        entry.state = 'told';
        renew(entry.resource).catch((err: unknown) => log.debug({ err }, 'a subscription was not renewed'));
        for (const tell of entry.listeners) tell();
      }
    },
  };
}
