import type { FetchLike } from '@modelcontextprotocol/client';
import { AppError } from '../../protocol/errors.ts';
import type { AuditLog } from '../audit/audit-log.ts';
import type { InstalledSkill } from '../installed.ts';
import { checkFiles } from '../packages.ts';
import type { RemotePlan } from '../runner/remote.ts';
import type { Secrets } from '../secrets/secrets.ts';
import { createSharing, type Sharing, type SignInParts } from './oauth-client.ts';
import { remotePlan } from './plan.ts';
import { keptSignIn } from './sign-ins.ts';

/** Where authorization servers send a user back to; whoever signs in listens there (RFC 8252 §7.3). */
export const REDIRECT_URL = 'http://127.0.0.1:4752/callback';

/** The hub's way to the servers of remote skills. */
export interface Reach {
  /**
   * How the server is reached for a user, after the package was checked again.
   * @throws AppError `skill-not-runnable`, `files-changed`, `remote-failed`.
   */
  planOf(skill: InstalledSkill, user: string): Promise<RemotePlan>;
  /** What a sign-in of the user at the server takes, with nobody to be asked yet. */
  signInOf(skill: InstalledSkill, user: string): SignInParts;
}

/** `fetch` is the way out of this machine; the tokens of users are among the secrets. */
export function createReach({
  fetch,
  secrets,
  audit,
  clientMetadataUrl,
}: {
  fetch: FetchLike;
  secrets: Secrets;
  audit: AuditLog;
  clientMetadataUrl: string | undefined;
}): Reach {
  const shared = new Map<string, Sharing>();
  function sharingOf(skill: string, user: string): Sharing {
    const key = JSON.stringify([skill, user]);
    const sharing = shared.get(key) ?? createSharing();
    shared.set(key, sharing);
    return sharing;
  }
  function signInOf(skill: InstalledSkill, user: string): SignInParts {
    const { url } = remoteOf(skill);
    return {
      skill: `${skill.name}@${skill.version}`,
      url,
      fetch,
      store: keptSignIn(secrets, { skill: skill.name, user, url }),
      sharing: sharingOf(skill.name, user),
      authorize: undefined,
      redirectUrl: REDIRECT_URL,
      clientMetadataUrl,
    };
  }
  return {
    signInOf,
    async planOf(skill, user) {
      const runtime = remoteOf(skill);
      await checkFiles(skill.packageDir, skill.files);
      const granted = new Set(skill.permissions.secrets.map(({ name }) => name));
      const own = new Map([...secrets.of(skill.name)].filter(([name]) => granted.has(name)));
      await audit.append(
        ...[...own.keys()].map(
          (secret) => ({ event: 'secret.used', skill: skill.name, secret, user }) as const,
        ),
      );
      return remotePlan({ ...signInOf(skill, user), runtime, permissions: skill.permissions, secrets: own });
    },
  };
}

function remoteOf({ name, manifest: { runtime } }: InstalledSkill) {
  if (runtime.kind === 'remote') return runtime;
  throw new AppError('skill-not-runnable', {
    detail: `${name} runs on this hub and has no server to sign in to.`,
  });
}
