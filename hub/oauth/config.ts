import { z } from 'zod';

/** What a token may be signed with: public keys only, so that whoever can check a token cannot make one. */
const ALGORITHMS = ['RS256', 'ES256', 'EdDSA'] as const;
const LOOPBACK = new Set(['127.0.0.1', 'localhost', '[::1]']);
/** RFC 6749 §3.3. */
const SCOPE = /^[\x21\x23-\x5b\x5d-\x7e]{1,100}$/;
const SKILL = /^(?:\*|[^/\s]{1,200}\/[^/\s]{1,200})$/;

/** An address that a token's fate hangs on: encrypted, or not leaving this machine. */
const trustedUrl = z
  .url({ protocol: /^https?$/ })
  .max(100)
  .refine((text) => {
    const { protocol, hostname } = new URL(text);
    return protocol === 'https:' || LOOPBACK.has(hostname);
  }, 'must be https, or http on a loopback address')
  .refine((text) => {
    const { username, password, hash, search } = new URL(text);
    return `${username}${password}${hash}${search}` === '' && !/[@#?]/.test(text);
  }, 'must have no user, query or fragment');

const issuerSchema = z.strictObject({
  url: trustedUrl.describe('Its issuer identifier, letter by letter as in its tokens.'),
  jwksUrl: trustedUrl.optional().describe('Where its keys are, when its metadata cannot be asked.'),
});

const grantSchema = z.strictObject({
  skills: z.array(z.string().regex(SKILL, 'must be <namespace>/<name> or *')).min(1),
  /** Then these tools of the skills, and nothing else of them. */
  tools: z.array(z.string().min(1).max(256)).min(1).optional(),
});

/** Which authorization servers are believed, what for, and what their scopes open. */
export const oauthSchema = z.strictObject({
  resource: trustedUrl
    .refine(
      (text) => !text.endsWith('/') && ['/', '/mcp'].includes(new URL(text).pathname),
      'must be the address of the hub, without a path or with /mcp, and must not end with a slash',
    )
    .describe(
      'URL of this hub as tokens name it in their audience, such as https://hub.example.com; without a path it stands for every address of the hub.',
    ),
  issuers: z
    .array(issuerSchema)
    .min(1)
    .max(20)
    .refine((list) => new Set(list.map(({ url }) => url)).size === list.length, 'must not repeat an issuer')
    .describe(
      'Authorization servers whose tokens are accepted: [{"url": "https://id.example.com"}], with "jwksUrl" where the keys are not found through its metadata.',
    ),
  algorithms: z
    .array(z.enum(ALGORITHMS))
    .min(1)
    .default([...ALGORITHMS])
    .describe(`Signatures that are accepted: ${ALGORITHMS.join(', ')}.`),
  tokenTypes: z
    .array(z.enum(['at+jwt', 'JWT']))
    .min(1)
    .default(['at+jwt'])
    .describe('Kinds of tokens; JWT takes those without a type, too, for servers that give no other.'),
  userClaim: z
    .string()
    .regex(/^\w{1,64}$/)
    .default('sub')
    .describe('Claim that names the user; it must never be given to a second person.'),
  clockSkewSeconds: z
    .int()
    .min(0)
    .max(120)
    .default(30)
    .describe('How far the clocks of hub and authorization server may differ.'),
  scopes: z
    .record(z.string().regex(SCOPE, 'is no scope'), grantSchema)
    .refine((scopes) => Object.keys(scopes).length > 0, 'must name a scope')
    .refine((scopes) => Object.keys(scopes).length <= 200, 'may name 200 scopes')
    .describe(
      'What each scope opens: {"notes": {"skills": ["dev.berth/memory"]}}; "*" is every skill, "tools" narrows to these tools.',
    ),
});

export type OAuthConfig = z.output<typeof oauthSchema>;
export type Issuer = OAuthConfig['issuers'][number];
