import type { Express, Request } from 'express';
import type { z } from 'zod';
import type { Digest } from '../protocol/canonical.ts';
import { AppError } from '../protocol/errors.ts';
import { createApp, mount, type Call, type Exchange } from '../protocol/node/http-server.ts';
import { publicKeyOf } from '../protocol/node/keys.ts';
import type { Logger } from '../protocol/node/logger.ts';
import type { RateLimiter } from '../protocol/node/rate-limit.ts';
import { PUBLISH_BODY_MAX_BYTES, registryApi } from '../protocol/registry-api.ts';
import type { Route } from '../protocol/route.ts';
import { addressKey } from './address-key.ts';
import { sendBlob } from './blob-reply.ts';
import type { Blobs } from './blobs/blobs.ts';
import type { RegistryConfig } from './config.ts';
import { gate } from './gate.ts';
import { addKey, keysFor, retireKey, type Caller } from './names.ts';
import { openApiOf } from './openapi.ts';
import { publish } from './publish.ts';
import { searchHit, skillReply, versionReply } from './replies.ts';
import { resolve, skillNotFound, versionOf, versionsOf } from './resolve.ts';
import { search } from './search.ts';
import { listServers, serverVersion, serverVersions } from './servers-v01.ts';
import type { RegistrySigner } from './signing/signing.ts';
import type { Store } from './store/store.ts';
import { addToken, callerOf, listTokens, removeToken, whoami } from './tokens.ts';
import type { Usage } from './usage.ts';
import { deprecate, unyank, yank } from './yank.ts';

/** Archives read at the same time; each may hold one file of 50 MB in memory. */
const MAX_PUBLISHING = 4;

export interface HttpDeps {
  store: Store;
  blobs: Blobs;
  signer: RegistrySigner;
  usage: Usage;
  limiter: RateLimiter;
  clock: () => Date;
  log: Logger;
}

/** The registry's addresses: each parses, asks one use case, and renders its answer. */
export function registryApp(deps: HttpDeps, config: RegistryConfig): Express {
  const { store, blobs, signer } = deps;
  const app = createApp({
    log: deps.log,
    names: {
      hosts: ['127.0.0.1', 'localhost', '[::1]', ...config.hosts],
      origins: config.publicUrl === undefined ? [] : [new URL(config.publicUrl).origin],
    },
  });
  const { open, guarded } = doors(app, deps, config);
  const api = registryApi;
  const publishing = gate(MAX_PUBLISHING);
  const nameOf = ({ namespace, name }: { namespace: string; name: string }) => `${namespace}/${name}`;
  const whichOf = (params: { namespace: string; name: string; version: string }) => ({
    name: nameOf(params),
    version: params.version,
  });
  const serversDeps = ({ request }: { request: Request }) => ({ store, baseUrl: baseUrlOf(request, config) });

  open(api.registry, () => ({ name: config.name, key: signer.record }));

  guarded(api.uploadBlob, async ({ params, request }) => {
    const digest: Digest = `sha256:${params.hex}`;
    refuseLarge(request, config.uploadBytes);
    const { size } = await blobs.put(digest, request, { maxBytes: config.uploadBytes });
    return { digest, size };
  });
  open(api.blob, (call) => sendBlob(deps, `sha256:${call.params.hex}`, call));
  guarded(api.publish, ({ caller, body }) => publishing.run(() => publish(deps, caller, body)), {
    bodyBytes: PUBLISH_BODY_MAX_BYTES,
  });

  open(api.search, async ({ query }) => ({ hits: (await search(deps, query)).map(searchHit) }));
  open(api.resolve, async ({ query }) => versionReply(await resolve(deps, query.name, query.range)));
  open(api.skill, async ({ params }) => {
    const skill = await store.skill(nameOf(params));
    if (skill === undefined) throw skillNotFound(nameOf(params));
    return skillReply(skill, await versionsOf(deps, nameOf(params)));
  });
  open(api.versions, async ({ params }) => ({
    name: nameOf(params),
    versions: await versionsOf(deps, nameOf(params)),
  }));
  open(api.version, async ({ params }) =>
    versionReply(await versionOf(deps, nameOf(params), params.version)),
  );
  guarded(api.yank, ({ caller, params, body }) => yank(deps, caller, { ...whichOf(params), ...body }));
  guarded(api.unyank, ({ caller, params }) => unyank(deps, caller, whichOf(params)));
  guarded(api.deprecate, ({ caller, params, body }) =>
    deprecate(deps, caller, { ...whichOf(params), ...body }),
  );

  open(api.keys, async ({ params }) => ({ ...params, keys: await keysFor(store, params.namespace) }));
  guarded(api.addKey, async ({ caller, params: { namespace }, body }) => ({
    namespace,
    keys: await addKey(deps, caller, { namespace, record: publicKeyOf(body.publicKey) }),
  }));
  guarded(api.retireKey, async ({ caller, params: { namespace }, body }) => ({
    namespace,
    keys: await retireKey(deps, caller, { namespace, ...body }),
  }));

  guarded(api.whoami, ({ caller }) => whoami(deps, caller));
  guarded(api.tokens, async ({ caller }) => ({ tokens: await listTokens(deps, caller) }));
  guarded(api.addToken, ({ caller, body }) => addToken(deps, caller, body));
  guarded(api.removeToken, async ({ caller, params }) => ({
    removed: await removeToken(deps, caller, params.id),
  }));

  open(api.servers, (call) => listServers(serversDeps(call), call.query));
  open(api.serverVersions, (call) => serverVersions(serversDeps(call), call.params.serverName));
  open(api.serverVersion, (call) =>
    serverVersion(serversDeps(call), call.params.serverName, call.params.version),
  );

  const contract = openApiOf(api, { title: `Berth registry ${config.name}`, version: '1' });
  open(api.openapi, () => contract);
  open(api.health, () => ({ ok: true as const }));
  open(api.ready, async () => {
    await Promise.all([store.check(), blobs.check()]).catch((cause: unknown) => {
      throw new AppError('unavailable', { detail: 'The database or the archives cannot be used.', cause });
    });
    return { ok: true as const };
  });
  return app;
}

/** The two ways to mount a route: for anybody, and for callers with a token. Both count against a rate. */
function doors(app: Express, deps: HttpDeps, config: RegistryConfig) {
  const admit = async ({ request, response }: Exchange): Promise<Caller | undefined> => {
    // Before the token is known to be good, the address pays: guessing tokens is no way round its rate.
    const byAddress = () => deps.limiter.take(`address ${addressKey(request.ip)}`, config.rate.address);
    const caller = await callerOf(deps, request.headers.authorization).catch((error: unknown) => {
      byAddress();
      throw error;
    });
    const rate =
      caller === undefined
        ? byAddress()
        : deps.limiter.take(`token ${caller.tokenId}`, caller.admin ? config.rate.admin : config.rate.token);
    response.set({
      'RateLimit-Limit': String(rate.limit),
      'RateLimit-Remaining': String(rate.remaining),
      'RateLimit-Reset': String(rate.resetSeconds),
    });
    if (caller !== undefined) deps.usage.tokenUsed(caller.tokenId);
    return caller;
  };
  type Handler<P extends z.ZodType, Q extends z.ZodType, B extends z.ZodType, R extends z.ZodType, Who> = (
    call: Call<z.output<P>, z.output<Q>, z.output<B>, Who>,
  ) => Promise<z.input<R>> | z.input<R>;
  return {
    open: <P extends z.ZodType, Q extends z.ZodType, B extends z.ZodType, R extends z.ZodType>(
      route: Route<P, Q, B, R>,
      handler: Handler<P, Q, B, R, Caller | undefined>,
    ) => mount(app, route, { authenticate: admit }, handler),
    guarded: <P extends z.ZodType, Q extends z.ZodType, B extends z.ZodType, R extends z.ZodType>(
      route: Route<P, Q, B, R>,
      handler: Handler<P, Q, B, R, Caller>,
      limits: { bodyBytes?: number } = {},
    ) => {
      const known = async (exchange: Exchange): Promise<Caller> => {
        const caller = await admit(exchange);
        if (caller !== undefined) return caller;
        throw new AppError('not-signed-in', {
          detail: 'This needs a token.',
          hint: 'berth login --registry URL',
        });
      };
      mount(app, route, { authenticate: known, limits }, handler);
    },
  };
}

function refuseLarge(request: Request, maxBytes: number): void {
  if (Number(request.headers['content-length'] ?? 0) <= maxBytes) return;
  throw new AppError('request-too-large', { detail: `An archive has at most ${maxBytes} bytes.` });
}

function baseUrlOf(request: Request, { publicUrl }: RegistryConfig): string {
  // The Host header has been checked to be one of our own.
  return (publicUrl ?? `http://${request.headers.host}`).replace(/\/+$/, '');
}
