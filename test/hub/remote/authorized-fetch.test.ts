import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { authorizedFetch } from '../../../hub/remote/authorized-fetch.ts';
import { createSharing, signInAnew } from '../../../hub/remote/oauth-client.ts';
import { keptSignIn, passingSignIn } from '../../../hub/remote/sign-ins.ts';
import { fileSecrets } from '../../../hub/secrets/file-secrets.ts';
import { expectCode } from '../../support/expect-code.ts';
import { tempFolder } from '../../support/temp-folder.ts';
import { verifies } from '../../support/verifies.ts';
import { agreeing, mcpRequest, protectedRemote, wayTo } from './rig.ts';

describe('a request to a remote server that wants a token', () => {
  it('waits for the user to sign in, and is sent again', verifies('remote.sign-in'), async () => {
    const { server, issuer } = await protectedRemote();
    const user = agreeing();
    const { fetch, store } = wayTo(server.url, user);
    const response = await fetch(server.url, mcpRequest('tools/list'));
    expect(response.status).toBe(200);
    const [asked] = user.asked;
    expect(Object.fromEntries(asked?.searchParams ?? [])).toMatchObject({
      resource: server.url,
      code_challenge_method: 'S256',
      scope: expect.stringContaining('list'),
    });
    expect(store.read().tokens?.issuer).toBe(issuer.issuer);
  });

  it('asks for a wider scope, and loses none of the narrower', verifies('remote.sign-in'), async () => {
    const { server } = await protectedRemote();
    const user = agreeing();
    const { fetch } = wayTo(server.url, user);
    await fetch(server.url, mcpRequest('tools/list'));
    const response = await fetch(server.url, mcpRequest('tools/call'));
    expect(response.status).toBe(200);
    const scopes = user.asked.map((url) => url.searchParams.get('scope')?.split(' '));
    expect(scopes).toEqual([expect.arrayContaining(['list']), expect.arrayContaining(['list', 'call'])]);
  });

  it('refreshes a token without asking, once for all requests', verifies('remote.sign-in'), async () => {
    const { server, issuer, spent } = await protectedRemote();
    const signedIn = wayTo(server.url, agreeing());
    await signedIn.fetch(server.url, mcpRequest('tools/list'));
    spent.add(signedIn.store.read().tokens?.access_token ?? '');
    const before = issuer.asked.get('/token') ?? 0;
    const alone = wayTo(server.url, { store: signedIn.store });
    const responses = await Promise.all(
      [1, 2, 3].map(() => alone.fetch(server.url, mcpRequest('tools/list'))),
    );
    expect(responses.map(({ status }) => status)).toEqual([200, 200, 200]);
    expect(issuer.asked.get('/token')).toBe(before + 1);
  });

  it(
    'is mended by signing in when a refresh does not help any more',
    verifies('remote.sign-in'),
    async () => {
      const { server, spent } = await protectedRemote();
      const { fetch, store } = wayTo(server.url, agreeing());
      await fetch(server.url, mcpRequest('tools/list'));
      const { tokens, ...kept } = store.read();
      if (tokens === undefined) throw new Error('Nobody signed in.');
      spent.add(tokens.access_token);
      await store.keep({ ...kept, tokens: { ...tokens, refresh_token: 'revoked' } });
      const alone = wayTo(server.url, { store });
      await expectCode(alone.fetch(server.url, mcpRequest('tools/list')), 'remote-sign-in');
      const { wish = {} } = store.read();
      expect(wish).toMatchObject({ scope: 'list' });
      await signInAnew({ ...alone.parts, authorize: agreeing().authorize }, wish);
      expect((await alone.fetch(server.url, mcpRequest('tools/list'))).status).toBe(200);
    },
  );

  it(
    'fails where nobody can be asked, and says how to sign in',
    verifies('remote.nobody-asked'),
    async () => {
      const { server, issuer } = await protectedRemote();
      const { fetch, store } = wayTo(server.url);
      const error = await expectCode(fetch(server.url, mcpRequest('tools/list')), 'remote-sign-in');
      expect(error.hint).toContain('berth sign-in org.example/remote');
      expect([...issuer.asked.keys()]).toEqual([]);
      // Whoever signs in then is asked for what was refused.
      expect(store.read().wish).toMatchObject({ scope: 'list' });
    },
  );

  it(
    'fails where a wider scope is wanted and nobody can be asked',
    verifies('remote.nobody-asked'),
    async () => {
      const { server } = await protectedRemote();
      const { store, fetch } = wayTo(server.url, agreeing());
      await fetch(server.url, mcpRequest('tools/list'));
      const alone = wayTo(server.url, { store });
      await expectCode(alone.fetch(server.url, mcpRequest('tools/call')), 'remote-sign-in');
      expect(store.read().wish?.scope?.split(' ')).toEqual(expect.arrayContaining(['list', 'call']));
    },
  );

  it('fails when the answer belongs to another sign-in', verifies('remote.sign-in'), async () => {
    const { server } = await protectedRemote();
    const { authorize } = agreeing();
    const { fetch, store } = wayTo(server.url, {
      async authorize(url) {
        const answer = await authorize(url);
        answer.set('state', 'of somebody else');
        return answer;
      },
    });
    await expectCode(fetch(server.url, mcpRequest('tools/list')), 'remote-sign-in');
    expect(store.read().tokens).toBeUndefined();
  });

  it('fails when another server answers than was asked (RFC 9207)', verifies('remote.sign-in'), async () => {
    const { server } = await protectedRemote();
    const { authorize } = agreeing();
    const { fetch } = wayTo(server.url, {
      async authorize(url) {
        const answer = await authorize(url);
        answer.set('iss', 'https://evil.example');
        return answer;
      },
    });
    const error = await expectCode(fetch(server.url, mcpRequest('tools/list')), 'remote-sign-in');
    expect(error.message).toContain('IssuerMismatchError');
  });
});

describe('a sign-in', () => {
  it('is kept by user, durably, and forgotten with the skill', verifies('remote.token-stays'), async () => {
    const folder = join(await tempFolder(), 'secrets');
    const skill = 'org.example/remote';
    const of = (user: string, url = 'https://one.example/mcp') => ({ skill, user, url });
    const secrets = await fileSecrets(folder, new Set([skill]));
    const tokens = { access_token: 'of ada', token_type: 'Bearer' };
    await keptSignIn(secrets, of('ada')).keep({ clients: {}, tokens });
    const again = await fileSecrets(folder, new Set([skill]));
    expect(keptSignIn(again, of('ada')).read().tokens).toEqual(tokens);
    expect(keptSignIn(again, of('bob')).read().tokens).toBeUndefined();
    // A skill that moves to another server takes no token along.
    expect(keptSignIn(again, of('ada', 'https://two.example/mcp')).read().tokens).toBeUndefined();
    await again.forget(skill);
    expect(keptSignIn(again, of('ada')).read().tokens).toBeUndefined();
  });
});

describe('a token of a remote server', () => {
  const tokens = { access_token: 'token-of-ada', token_type: 'Bearer' };

  it('goes to no other origin', verifies('remote.token-stays'), async () => {
    const sent: [url: string, authorization: string | null][] = [];
    const way = authorizedFetch({
      skill: 'org.example/remote',
      url: 'https://one.example/mcp',
      store: passingSignIn({ clients: {}, tokens }),
      sharing: createSharing(),
      authorize: undefined,
      redirectUrl: 'http://127.0.0.1/callback',
      fetch: async (url, init) => {
        sent.push([String(url), new Headers(init?.headers).get('authorization')]);
        return new Response();
      },
    });
    await way('https://one.example/mcp');
    await way('https://two.example/mcp');
    await way('http://one.example/mcp');
    expect(sent.map(([, authorization]) => authorization)).toEqual(['Bearer token-of-ada', null, null]);
  });
});
