import { describe, expect, it } from 'vitest';
import { callRoute } from '../../protocol/node/http-client.ts';
import { registryApi } from '../../protocol/registry-api.ts';
import { openApiPath } from '../../registry/openapi.ts';
import { testRegistry } from '../support/registry.ts';
import { verifies } from '../support/verifies.ts';

interface OpenApi {
  openapi: string;
  paths: Record<
    string,
    Record<
      string,
      {
        operationId: string;
        parameters?: { name: string; in: string; required: boolean }[];
        security?: unknown;
      }
    >
  >;
}

describe('/openapi.json', () => {
  it('has every address that the server answers', verifies('registry.openapi'), async () => {
    const { url } = await testRegistry();
    const document = (await callRoute(registryApi.openapi, { baseUrl: url })) as unknown as OpenApi;
    expect(document.openapi).toBe('3.1.0');
    for (const [id, route] of Object.entries(registryApi)) {
      const operation = document.paths[openApiPath(route.path)]?.[route.method.toLowerCase()];
      expect(operation?.operationId, id).toBe(id);
      expect(operation?.security !== undefined, id).toBe(route.access === 'token');
      const inPath = (operation?.parameters ?? [])
        .filter((parameter) => parameter.in === 'path')
        .map(({ name }) => name);
      expect(inPath, id).toEqual([...route.path.matchAll(/:(\w+)/g)].map(([, name]) => name));

      // Served for real: whatever it says, it isn't "no such address".
      const path = route.path
        .replace(/:hex/, 'a'.repeat(64))
        .replace(/:serverName/, 'local.me%2Fnone')
        .replace(/:version/, '1.0.0')
        .replace(/:namespace/, 'local.me')
        .replace(/:\w+/g, 'none');
      const reply = await fetch(`${url}${path}`, { method: route.method });
      const text = await reply.text();
      expect(text, id).not.toContain('"code":"route-not-found"');
      if (route.access === 'token') expect(reply.status, id).toBe(401);
    }
    const operations = Object.values(document.paths).flatMap((methods) => Object.keys(methods));
    expect(operations.length).toBe(Object.keys(registryApi).length);
  });

  it('refers to nothing that it does not hold', async () => {
    const { url } = await testRegistry();
    const document = await callRoute(registryApi.openapi, { baseUrl: url });
    const references = JSON.stringify(document).match(/"\$ref":"[^"]+"/g) ?? [];
    const global = references.filter((reference) => !reference.includes('#/$defs/'));
    expect(new Set(global)).toEqual(
      new Set(['"$ref":"#/components/responses/Problem"', '"$ref":"#/components/schemas/Problem"']),
    );
  });
});

describe('health', () => {
  it('is answered to GET and HEAD', async () => {
    const { url } = await testRegistry();
    expect(await callRoute(registryApi.health, { baseUrl: url })).toEqual({ ok: true });
    expect(await callRoute(registryApi.ready, { baseUrl: url })).toEqual({ ok: true });
    const head = await fetch(`${url}/readyz`, { method: 'HEAD' });
    expect([head.status, await head.text()]).toEqual([200, '']);
  });
});

describe('rates', () => {
  it(
    'are counted for addresses and tokens apart, say how long to wait, and spare the admin',
    verifies('registry.rate-limit'),
    async () => {
      const registry = await testRegistry({
        rate: { address: { perMinute: 6, burst: 3 }, token: { perMinute: 60, burst: 2 } },
      });
      const { token } = await callRoute(registryApi.addToken, {
        baseUrl: registry.url,
        token: registry.adminToken,
        body: { name: 'author', namespaces: ['com.acme'] },
      });
      const ask = (bearer?: string) =>
        fetch(
          `${registry.url}/healthz`,
          bearer === undefined ? {} : { headers: { authorization: `Bearer ${bearer}` } },
        );
      const statuses = async (times: number, bearer?: string) => {
        const replies = [];
        for (let index = 0; index < times; index += 1) replies.push(await ask(bearer));
        return replies.map(({ status }) => status);
      };
      expect(await statuses(2)).toEqual([200, 200]);
      // A wrong token is paid by the address.
      expect(await statuses(2, 'wrong')).toEqual([401, 429]);
      const refused = await ask();
      expect(refused.status).toBe(429);
      expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
      expect(await refused.json()).toMatchObject({ code: 'rate-limited' });
      expect(await statuses(3, token)).toEqual([200, 200, 429]);
      expect(new Set(await statuses(20, registry.adminToken))).toEqual(new Set([200]));
      const fine = await ask(registry.adminToken);
      expect(fine.headers.get('ratelimit-limit')).toBe('6000');
    },
  );
});
