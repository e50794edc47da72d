import { randomUUID } from 'node:crypto';
import { AppError } from '../../protocol/errors.ts';
import type { AuditLog } from '../audit/audit-log.ts';
import { type Clock, within } from '../clock.ts';
import type { InstalledSkill } from '../installed.ts';
import { everythingOf } from '../questions.ts';
import { type CaptureParts, captureSurface } from '../runner/capture.ts';
import { signInAnew } from './oauth-client.ts';
import type { Reach } from './reach.ts';

/** For the user to agree. */
const AGREE_TIMEOUT_MS = 10 * 60_000;
/** Sign-ins that wait for their users at once. */
const MAX_WAITING = 16;

interface SigningInParts extends CaptureParts {
  reach: Reach;
  audit: AuditLog;
  clock: Clock;
}

/** As whom an admin registered the hub at an authorization server by hand. */
export interface RegisteredClient {
  id: string;
  secret?: string | undefined;
}

/** Signs users in at the servers of remote skills, in two halves: the user agrees somewhere else in between. */
export interface SigningIn {
  /**
   * Asks the server what it wants. Answers with where the user has to agree, or with nothing when there is nothing to
   * agree to.
   * @throws AppError `remote-sign-in`, `remote-failed`, and what starting the skill throws.
   */
  begin(
    skill: InstalledSkill,
    user: string,
    registered: RegisteredClient | undefined,
  ): Promise<{ id: string; url: string } | undefined>;
  /** Takes what the user came back with. @throws AppError `remote-sign-in`. */
  finish(id: string, answer: URLSearchParams): Promise<{ skill: string }>;
  /** Forgets the user's tokens; whether there were any. */
  forget(skill: InstalledSkill, user: string): Promise<boolean>;
}

/** Sign-ins that wait are kept in memory: a restart ends them. */
export function createSigningIn(parts: SigningInParts): SigningIn {
  const { reach, audit, clock } = parts;
  const waiting = new Map<
    string,
    { answer(given: URLSearchParams): void; done: Promise<{ skill: string }> }
  >();

  /** Listing is what most servers want a token for; a call that was refused has left its own wish. */
  async function wishOf(skill: InstalledSkill, user: string) {
    const { runtime } = skill.manifest;
    if (runtime.kind !== 'remote') return undefined;
    const plan = await reach.planOf(skill, user);
    const order = {
      plan,
      protocol: runtime.protocol,
      offered: everythingOf(skill.permissions.mcp),
    };
    await captureSurface(parts, order).catch((error: unknown) => {
      if (!(error instanceof AppError) || error.code !== 'remote-sign-in') throw error;
    });
    return reach.signInOf(skill, user).store.read().wish;
  }

  async function begin(skill: InstalledSkill, user: string, registered: RegisteredClient | undefined) {
    const signIn = reach.signInOf(skill, user);
    if (registered !== undefined) {
      const { id: client_id, secret: client_secret } = registered;
      const client = { client_id, ...(client_secret === undefined ? {} : { client_secret }) };
      await signIn.store.keep({ ...signIn.store.read(), clients: {}, registered: client });
    }
    const wish = await wishOf(skill, user);
    if (wish === undefined) return undefined;
    if (waiting.size >= MAX_WAITING)
      throw new AppError('rate-limited', { detail: 'Too many sign-ins wait for their users already.' });
    let answer = (_given: URLSearchParams): void => undefined;
    const answered = new Promise<URLSearchParams>((resolve) => (answer = resolve));
    let ask = (_url: URL): void => undefined;
    const asked = new Promise<URL>((resolve) => (ask = resolve));
    const authorize = (url: URL) => {
      ask(url);
      return within(clock, AGREE_TIMEOUT_MS, answered, () => tooLate(skill));
    };
    const done = signInAnew({ ...signIn, authorize }, wish).then(async () => {
      const issuer = signIn.store.read().tokens?.issuer ?? '';
      await audit.append({ event: 'user.signed-in', skill: skill.name, user, issuer });
      return { skill: skill.name };
    });
    const first = await Promise.race([asked, done]);
    if (!(first instanceof URL)) return undefined;
    const id = `sign-in_${randomUUID()}`;
    waiting.set(id, { answer, done });
    void done.catch(() => undefined).finally(() => waiting.delete(id));
    return { id, url: first.href };
  }

  return {
    begin,
    async finish(id, given) {
      const found = waiting.get(id);
      if (found === undefined)
        throw new AppError('remote-sign-in', {
          detail:
            'No sign-in waits under this id: it was answered, took too long, or the hub was started again.',
          hint: 'Begin again with: berth sign-in SKILL',
        });
      found.answer(given);
      return found.done;
    },
    async forget(skill, user) {
      const { store } = reach.signInOf(skill, user);
      const { tokens, ...kept } = store.read();
      if (tokens === undefined) return false;
      await store.keep(kept);
      await audit.append({ event: 'user.signed-out', skill: skill.name, user });
      return true;
    },
  };
}

function tooLate({ name }: InstalledSkill): AppError {
  return new AppError('remote-sign-in', {
    detail: `Nobody agreed to the sign-in for ${name} in time.`,
    hint: `Begin again with: berth sign-in ${name}`,
  });
}
