import { createHash } from 'node:crypto';
import type { Logger } from '../../protocol/node/logger.ts';
import type { Gateway, GatewayView, Principal, Scope } from './gateway.ts';

/** The lists of which MCP tells clients that they changed. */
const LIST_KINDS = ['tools', 'prompts', 'resources'] as const;
export type ListKind = (typeof LIST_KINDS)[number];

/** Tells those who listen when their own view has changed, and nobody when another's has. */
export interface ChangeNotices {
  /** Listens to the view of one principal at one door; answers with the way to stop. */
  listen(principal: Principal, scope: Scope, changed: (kind: ListKind) => void): () => void;
  close(): void;
}

interface Audience {
  principal: Principal;
  scope: Scope;
  listeners: Set<(kind: ListKind) => void>;
  seen: Revision;
}

type Revision = Record<ListKind, string>;

/** Follows the gateway. Changes of one moment are told together; a change and its undoing not at all. */
export function createChangeNotices({ gateway, log }: { gateway: Gateway; log: Logger }): ChangeNotices {
  const audiences = new Map<string, Audience>();
  /** A view is replaced and never altered: reading all of it once is enough, however often somebody comes to listen. */
  const revisions = new WeakMap<GatewayView, Revision>();

  function revisionOf({ principal, scope }: Pick<Audience, 'principal' | 'scope'>): Revision {
    const view = viewOrNothing(gateway, principal, scope, log);
    const known = revisions.get(view);
    if (known !== undefined) return known;
    const made = {
      tools: digest(view.tools),
      prompts: digest(view.prompts),
      resources: digest([view.resources, view.resourceTemplates, view.skills]),
    };
    revisions.set(view, made);
    return made;
  }

  let due: NodeJS.Immediate | undefined;
  const stopFollowing = gateway.onChange(() => {
    due ??= setImmediate(() => {
      due = undefined;
      for (const audience of audiences.values()) tell(audience);
    });
  });

  function tell(audience: Audience): void {
    const now = revisionOf(audience);
    const before = audience.seen;
    audience.seen = now;
    for (const kind of LIST_KINDS) {
      if (now[kind] === before[kind]) continue;
      for (const changed of audience.listeners) changed(kind);
    }
  }

  return {
    listen(principal, scope, changed) {
      const key = audienceKey(principal, scope);
      const audience = audiences.get(key) ?? {
        principal,
        scope,
        listeners: new Set(),
        seen: revisionOf({ principal, scope }),
      };
      audiences.set(key, audience);
      audience.listeners.add(changed);
      return () => {
        audience.listeners.delete(changed);
        if (audience.listeners.size === 0 && audiences.get(key) === audience) audiences.delete(key);
      };
    },
    close() {
      stopFollowing();
      clearImmediate(due);
      audiences.clear();
    },
  };
}

/** One text for everybody who sees the same: a user's client, with the same scopes, at one door. */
export function audienceKey(principal: Principal, scope: Scope): string {
  return JSON.stringify([ownerKey(principal, scope), principal.scopes ?? null]);
}

/** One text for a user's client at one door: what is its own stays so when its next token opens more. */
export function ownerKey({ user, client }: Principal, scope: Scope): string {
  return JSON.stringify([user, client, scope.kind === 'all' ? null : scope.name]);
}

/** A skill that was removed under an open session leaves an empty view. */
function viewOrNothing(gateway: Gateway, principal: Principal, scope: Scope, log: Logger): GatewayView {
  try {
    return gateway.view(principal, scope);
  } catch (error) {
    log.debug({ err: error }, 'nothing to see at this door any more');
    return {
      tools: [],
      prompts: [],
      resources: [],
      resourceTemplates: [],
      skills: [],
      completions: false,
      logging: false,
      subscribable: false,
      asking: new Set(),
    };
  }
}

function digest(list: unknown): string {
  return createHash('sha256').update(JSON.stringify(list)).digest('base64');
}
