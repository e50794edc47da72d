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

/** What the server asked for when it refused a call that nobody could sign in for. */
const wishSchema = z.object({ resourceMetadataUrl: text.optional(), scope: text.optional() });
export type Wish = z.output<typeof wishSchema>;

const signInSchema = z.object({
  tokens: tokensSchema.optional(),
  /** As whom the hub is known, by issuer. */
  clients: z.record(z.string(), clientSchema).default({}),
  /** As whom an admin registered the hub by hand; it belongs to the first issuer that it is shown to. */
  registered: clientSchema.optional(),
  wish: wishSchema.optional(),
});

/** With the server that it is for: a skill that moves to another one takes no token along. */
const keptSchema = z.object({ url: text, signIn: signInSchema });

/** Everything that a sign-in at one remote server leaves behind. */
export type SignIn = z.output<typeof signInSchema>;

/** Keeps the sign-in of one user at one skill's server. */
export interface SignInStore {
  read(): SignIn;
  /** Durable when it resolves. */
  keep(signIn: SignIn): Promise<void>;
}

const PREFIX = 'sign-in ';
const NOTHING: SignIn = { clients: {} };

/** What of a skill's secrets must be in no result: in a sign-in that is each token by itself. */
export function secretTexts(secrets: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  if (secrets.size === 0) return secrets;
  return new Map(
    [...secrets].flatMap(([name, value]): [string, string][] => {
      if (!name.startsWith(PREFIX)) return [[name, value]];
      const { tokens, clients } = keptSchema.parse(JSON.parse(value)).signIn;
      const texts = [
        tokens?.access_token,
        tokens?.refresh_token,
        ...Object.values(clients).map(({ client_secret }) => client_secret),
      ];
      return texts.flatMap((secret, at) => (secret === undefined ? [] : [[`${name} ${at}`, secret]]));
    }),
  );
}

/**
 * The sign-in of a user at the server of a skill, among the skill's secrets; no secret that a manifest names has such a
 * name.
 */
export function keptSignIn(
  secrets: Secrets,
  { skill, user, url }: { skill: string; user: string; url: string },
): SignInStore {
  const name = `${PREFIX}${user}`;
  return {
    read() {
      const text = secrets.of(skill).get(name);
      if (text === undefined) return NOTHING;
      const kept = keptSchema.parse(JSON.parse(text));
      return kept.url === url ? kept.signIn : NOTHING;
    },
    keep: (signIn) => secrets.keep(skill, { [name]: JSON.stringify(keptSchema.parse({ url, signIn })) }),
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
