import type { FetchLike } from '@modelcontextprotocol/client';
import { everythingOf } from '../hub/questions.ts';
import { type Authorize, createSharing, signInAnew } from '../hub/remote/oauth-client.ts';
import { guardedFetch, OPEN_INTERNET } from '../hub/remote/guarded-fetch.ts';
import { remotePlan } from '../hub/remote/plan.ts';
import { REDIRECT_URL } from '../hub/remote/reach.ts';
import { passingSignIn } from '../hub/remote/sign-ins.ts';
import { captureSurface } from '../hub/runner/capture.ts';
import type { SandboxDriver } from '../hub/sandbox/sandbox.ts';
import { AppError } from '../protocol/errors.ts';
import type { Manifest } from '../protocol/manifest.ts';
import { createLogger } from '../protocol/node/logger.ts';
import { normalise } from '../protocol/permissions.ts';
import type { Surface } from '../protocol/surface.ts';
import { berthVersion } from './version.ts';

/** One to be let in, one for a wider scope. */
const MAX_SIGN_INS = 2;

/** How the server of a remote skill is asked what it offers. */
export interface RemoteAsking {
  fetch: FetchLike;
  /** Undefined where nobody can be asked to sign in. */
  authorize: Authorize | undefined;
}

/** Over the open internet, with nobody to sign in. */
export const UNATTENDED: RemoteAsking = { fetch: guardedFetch(OPEN_INTERNET), authorize: undefined };

/**
 * What a remote server says to a model now, as the hub will compare it at each start. Its author may have to sign in
 * for that; the tokens are forgotten afterwards.
 * @throws AppError `pack-failed`, with what the server or the way to it failed with.
 */
export async function surfaceOfRemote(
  { driver }: { driver: SandboxDriver },
  { fetch, authorize }: RemoteAsking,
  manifest: Manifest,
): Promise<Surface> {
  const { runtime } = manifest;
  if (runtime.kind !== 'remote') throw new Error(`${manifest.name} runs here.`);
  const permissions = normalise(manifest.permissions);
  const skill = `${manifest.name}@${manifest.version}`;
  const signIn = {
    skill,
    url: runtime.url,
    fetch,
    store: passingSignIn(),
    sharing: createSharing(),
    authorize: undefined,
    redirectUrl: REDIRECT_URL,
  };
  const parts = {
    driver,
    identity: { name: 'berth', version: berthVersion() },
    log: createLogger({ level: 'silent', name: 'pack' }),
  };
  const order = {
    plan: remotePlan({ ...signIn, runtime, permissions, secrets: new Map() }),
    protocol: runtime.protocol,
    offered: everythingOf(permissions.mcp),
  };
  try {
    for (let signIns = 0; ; signIns += 1) {
      try {
        return await captureSurface(parts, order);
      } catch (error) {
        const { wish } = signIn.store.read();
        if (authorize === undefined || wish === undefined || signIns === MAX_SIGN_INS) throw error;
        await signInAnew({ ...signIn, authorize }, wish);
      }
    }
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    throw new AppError('pack-failed', {
      detail: `Asked what it offers, the remote server failed: ${error.message}`,
      hint:
        error.code === 'remote-sign-in'
          ? 'Pack it at a terminal, where you can sign in.'
          : (error.hint ?? 'A skill is packed with what its server says: it has to be reachable now.'),
      data: { ...error.data, cause: error.code },
      cause: error,
    });
  }
}
