import { z } from 'zod';
import type { Secrets } from '../secrets/secrets.ts';

/** What one server and authorization server may make the hub keep of a text. */
const text = z.string().max(16_384);

const tokensSchema = z.looseObject({
  access_token: text,
  token_type: text,
  refresh_token: text.optional(),
  scope: text.optional(),
  /** Which authorization server they are from; they go to no other (RFC 9207, SEP-2352). */
  issuer: text.optional(),
});

const clientSchema = z.looseObject({
  client_id: text,
  client_secret: text.optional(),
  issuer: text.optional(),
});

const signInSchema = z.object({
  tokens: tokensSchema.optional(),
  /** As whom the hub is known, by issuer. */
  clients: z.record(z.string(), clientSchema).default({}),
  /** As whom an admin registered the hub by hand; it belongs to the first issuer that it is shown to. */
  registered: clientSchema.optional(),
  /** What the server asked for when it refused a call that nobody could sign in for. */
  challenge: z.object({ resourceMetadataUrl: text.optional(), scope: text.optional() }).optional(),
});

/** Everything that a sign-in at one remote server leaves behind. */
export type SignIn = z.output<typeof signInSchema>;

/** Keeps the sign-in of one user at one skill's server. */
export interface SignInStore {
  read(): SignIn;
  /** Durable when it resolves. */
  keep(signIn: SignIn): Promise<void>;
}

const NOTHING: SignIn = { clients: {} };

/** Sign-ins among a skill's secrets, one entry a user; no secret that a manifest names has such a name. */
export function keptSignIn(secrets: Secrets, skill: string, user: string): SignInStore {
  const name = `sign-in ${user}`;
  return {
    read() {
      const kept = secrets.of(skill).get(name);
      return kept === undefined ? NOTHING : signInSchema.parse(JSON.parse(kept));
    },
    keep: (signIn) => secrets.keep(skill, { [name]: JSON.stringify(signInSchema.parse(signIn)) }),
  };
}

/** A sign-in that is forgotten with the process, for packing. */
export function passingSignIn(start: SignIn = NOTHING): SignInStore {
  let kept = start;
  return {
    read: () => kept,
    async keep(signIn) {
      kept = signInSchema.parse(signIn);
    },
  };
}
