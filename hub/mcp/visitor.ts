import type { LogLevel } from '../questions.ts';
import type { Principal, Scope } from './gateway.ts';

/** Who stands at which door, in which era. */
export interface Visitor {
  principal: Principal;
  scope: Scope;
  era: 'modern' | 'legacy';
  /** What a session of the older revisions remembers. */
  session: SessionState;
}

/** What a session keeps between its requests. */
export interface SessionState {
  logLevel?: LogLevel;
  /** By URI, the way to stop listening. */
  subscriptions: Map<string, () => void>;
}
