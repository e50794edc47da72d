import { describe, expect, it } from 'vitest';
import { adminApi } from '../../../hub/admin-api.ts';
import { guardedFetch } from '../../../hub/remote/guarded-fetch.ts';
import { REDIRECT_URL } from '../../../hub/remote/reach.ts';
import { callRoute } from '../../../protocol/node/http-client.ts';
import { signInAs } from '../../support/authorization-server.ts';
import { expectCode } from '../../support/expect-code.ts';
import { hubRig } from '../../support/hub-rig.ts';
import { legacyRemote, modernRemote } from '../../support/remote-server.ts';
import { privateInternet } from '../../support/tls.ts';
import { verifies } from '../../support/verifies.ts';
import { protectedRemote, remoteFolder, SKILL } from './rig.ts';

const ALLOWED = { tools: { '*': 'allow' } } as const;

/** A hub in an internet of its own, with a plain remote server in it. */
async function rig() {
  const internet = await privateInternet();
  const server = await modernRemote({ http: internet.http, origin: 'https://tools.example' });
  const hub = await hubRig({ outside: internet.outside });
  return { internet, server, ...hub, hub };
}

describe('a remote skill', () => {
  it('is packed, installed by approval and called like any other', verifies('remote.product'), async () => {
    const { server, hub } = await rig();
    await hub.publish(await remoteFolder(server.url));
    const packing = server.seen.length;
    const { approval } = await hub.install(SKILL);
    // Nothing is sent to it before somebody allowed that.
    expect(server.seen.length).toBe(packing);
    expect(approval?.tools.map(({ name, answer }) => [name, answer])).toEqual(
      ['count', 'echo', 'wait', 'whom'].map((name) => [name, 'ask']),
    );
    await hub.install(SKILL, undefined, ALLOWED);
    expect(await hub.text(SKILL, 'echo', { message: 'from afar' })).toBe('from afar');
    const records = await callRoute(adminApi.audit, { ...hub.admin, query: {} });
    expect(records.find(({ event }) => event === 'skill.started')?.record).not.toHaveProperty('pid');
  });

  it('is one in the sessionful era as well', verifies('remote.product', 'remote.both-eras'), async () => {
    const { http, outside } = await privateInternet();
    const server = await legacyRemote({ http, origin: 'https://tools.example' });
    const hub = await hubRig({ outside });
    await hub.publish(await remoteFolder(server.url, {}, '2025-11-25'));
    await hub.install(SKILL, undefined, ALLOWED);
    expect(await hub.text(SKILL, 'echo', { message: 'from long ago' })).toBe('from long ago');
    await hub.hub.stop();
    expect(server.sessions()).toBe(0);
  });

  it('says that it cannot be verified wherever it is shown', verifies('remote.said'), async () => {
    const { server, hub } = await rig();
    await hub.publish(await remoteFolder(server.url));
    const { approval } = await hub.install(SKILL);
    expect(approval?.unverified).toEqual([expect.stringContaining('cannot be verified')]);
    const { installed } = await hub.install(SKILL, undefined, {});
    expect(installed?.unverified).toEqual([expect.stringContaining('cannot be verified')]);
    const error = await expectCode(hub.call(SKILL, 'echo', { message: 'x' }), 'call-needs-approval');
    expect(error.message).toContain('echo');
  });

  it('is quarantined when its server says something else', verifies('remote.surface'), async () => {
    const { server, hub } = await rig();
    await hub.publish(await remoteFolder(server.url));
    await hub.install(SKILL, undefined, ALLOWED);
    await server.change();
    await expectCode(hub.call(SKILL, 'echo', { message: 'x' }), 'skill-quarantined');
    const skill = await callRoute(adminApi.skill, {
      ...hub.admin,
      params: { namespace: 'local.test', name: 'elsewhere' },
    });
    expect(skill.state).toBe('quarantined');
  });

  it(
    'is reached no longer when the permission for its address is taken back',
    verifies('remote.product'),
    async () => {
      const { server, hub } = await rig();
      await hub.publish(await remoteFolder(server.url));
      const { installed } = await hub.install(SKILL, undefined, ALLOWED);
      await hub.call(SKILL, 'echo', { message: 'x' });
      const grant = installed?.grants.find(({ permission }) => permission.startsWith('network:'));
      await callRoute(adminApi.revoke, { ...hub.admin, params: { id: grant?.id ?? '' } });
      const before = server.seen.filter(({ body }) => body.method === 'tools/call').length;
      await expect(hub.call(SKILL, 'echo', { message: 'x' })).rejects.toThrow();
      expect(server.seen.filter(({ body }) => body.method === 'tools/call').length).toBe(before);
    },
  );

  it('gets a secret that it is granted in the header it is for', verifies('remote.product'), async () => {
    const { server, hub } = await rig();
    const inject = `header:tools.example:X-Api-Key`;
    const secrets = [{ name: 'API_KEY', required: false, inject, reason: 'It knows whom it serves' }];
    await hub.publish(await remoteFolder(server.url, { secrets }));
    await hub.install(SKILL, undefined, { ...ALLOWED, secrets: { API_KEY: 'key-of-a-test' } });
    await hub.call(SKILL, 'echo', { message: 'x' });
    expect(server.seen.at(-1)?.headers['x-api-key']).toBe('key-of-a-test');
    // An answer that repeats it goes back without it.
    expect(await hub.text(SKILL, 'echo', { message: 'key-of-a-test' })).not.toContain('key-of-a-test');
  });
});

describe('a remote skill whose server wants a sign-in', () => {
  it(
    'is signed in to, used, and signed out of',
    verifies('remote.sign-in', 'remote.nobody-asked'),
    async () => {
      const internet = await privateInternet();
      const { server } = await protectedRemote(internet);
      const hub = await hubRig({ outside: internet.outside });
      const fetched = guardedFetch(internet.outside) as typeof fetch;
      const agree = (url: URL) => signInAs('ada', url, { fetched, redirectUrl: REDIRECT_URL });
      await hub.publish(await remoteFolder(server.url), undefined, agree);
      await hub.install(SKILL, undefined, ALLOWED);

      const refused = await expectCode(hub.call(SKILL, 'echo', { message: 'x' }), 'remote-sign-in');
      expect(refused.hint).toBe(`Sign in with: berth sign-in ${SKILL}`);
      const params = { namespace: 'local.test', name: 'elsewhere' };
      const signIn = async () => {
        const begun = await callRoute(adminApi.beginSignIn, { ...hub.admin, params, body: {} });
        const answer = await agree(new URL(begun.url ?? ''));
        await callRoute(adminApi.finishSignIn, {
          ...hub.admin,
          params: { id: begun.id ?? '' },
          body: { answer: answer.toString() },
        });
      };
      await signIn();
      // To list was allowed; to call is a scope of its own, which is asked for when it is needed.
      await expectCode(hub.call(SKILL, 'echo', { message: 'x' }), 'remote-sign-in');
      await signIn();
      expect(await hub.text(SKILL, 'echo', { message: 'signed in' })).toBe('signed in');
      await hub.restart();
      expect(await hub.text(SKILL, 'echo', { message: 'still' })).toBe('still');

      const token = /^Bearer (.+)$/.exec(server.seen.at(-1)?.headers.authorization ?? '')?.[1] ?? '';
      expect(token).not.toBe('');
      const records = await callRoute(adminApi.audit, { ...hub.admin, query: { limit: 1000 } });
      expect(records.map(({ event }) => event)).toContain('user.signed-in');
      expect(JSON.stringify(records)).not.toContain(token);
      expect(await hub.text(SKILL, 'echo', { message: token })).not.toContain(token);

      const { forgotten } = await callRoute(adminApi.forgetSignIn, { ...hub.admin, params });
      expect(forgotten).toBe(true);
      await expectCode(hub.call(SKILL, 'echo', { message: 'x' }), 'remote-sign-in');
    },
  );
});
