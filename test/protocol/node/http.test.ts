import { once } from 'node:events';
import { connect } from 'node:net';
import { Agent, type IncomingMessage, request } from 'node:http';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { z } from 'zod';
import { AppError } from '../../../protocol/errors.ts';
import { callRoute, download, upload } from '../../../protocol/node/http-client.ts';
import { createApp, listen, mount, type Listening } from '../../../protocol/node/http-server.ts';
import { createLogger } from '../../../protocol/node/logger.ts';
import { RAW_BYTES, route } from '../../../protocol/route.ts';
import { expectCode } from '../../support/expect-code.ts';
import { tempFolder } from '../../support/temp-folder.ts';
import { verifies } from '../../support/verifies.ts';

const greet = route({
  method: 'POST',
  path: '/greet/:who',
  summary: 'Greets',
  access: 'open',
  params: z.strictObject({ who: z.string().max(10) }),
  query: z.strictObject({ loud: z.enum(['yes', 'no']).default('no') }),
  body: z.strictObject({ word: z.string(), rest: z.json().optional() }),
  reply: z.object({ text: z.string() }),
});
const secret = route({
  method: 'GET',
  path: '/secret',
  summary: 'For callers',
  reply: z.object({ who: z.string() }),
});
const broken = route({
  method: 'GET',
  path: '/broken',
  summary: 'Throws',
  access: 'open',
  reply: z.object({}),
});
const bytes = route({ method: 'GET', path: '/bytes', summary: 'Bytes', access: 'open', reply: RAW_BYTES });
const sink = route({
  method: 'PUT',
  path: '/sink',
  summary: 'Takes bytes',
  access: 'open',
  body: RAW_BYTES,
  reply: z.object({ bytes: z.int() }),
});
const refusing = route({ ...sink, path: '/refusing' });
const large = route({
  method: 'GET',
  path: '/large',
  summary: 'Many bytes',
  access: 'open',
  reply: RAW_BYTES,
});
const LARGE_BYTES = 64 * 1024 * 1024;
const hanging = route({
  method: 'GET',
  path: '/hanging',
  summary: 'Never answers',
  access: 'open',
  reply: z.object({}),
});

interface Running extends Listening {
  logged: string[];
  hungUp: Promise<void>;
}

async function start(at: Parameters<typeof listen>[1] = { host: '127.0.0.1', port: 0 }): Promise<Running> {
  const logged: string[] = [];
  const log = createLogger({
    level: 'debug',
    name: 'test',
    destination: { write: (line) => void logged.push(line) },
  });
  const app = createApp({ log });
  mount(app, greet, { limits: { bodyBytes: 1_000, bodyDepth: 8 } }, ({ params, query, body }) => ({
    text: `${body.word}, ${params.who}${query.loud === 'yes' ? '!' : '.'}`,
    leaked: 'never',
  }));
  mount(
    app,
    secret,
    {
      authenticate: async ({ request: { headers } }) =>
        headers.authorization === 'Bearer right' ? { who: 'me' } : undefined,
    },
    ({ caller }) => ({ who: caller?.who ?? '' }),
  );
  mount(app, broken, {}, () => {
    throw new Error('the password is hunter2');
  });
  mount(app, bytes, {}, ({ response }) => void response.send(Buffer.alloc(1_000, 7)));
  mount(app, large, {}, ({ response }) => void response.send(Buffer.alloc(LARGE_BYTES, 7)));
  mount(app, sink, {}, async ({ request: incoming }) => {
    let count = 0;
    for await (const chunk of incoming) count += (chunk as Buffer).length;
    return { bytes: count };
  });
  mount(app, refusing, {}, () => {
    throw new AppError('request-too-large', { detail: 'No.' });
  });
  let markHungUp: () => void;
  const hungUp = new Promise<void>((resolve) => (markHungUp = resolve));
  mount(
    app,
    hanging,
    {},
    ({ signal }) =>
      new Promise((_resolve, reject) =>
        signal.addEventListener('abort', () => (markHungUp(), reject(signal.reason as Error))),
      ),
  );
  const listening = await listen(app, at);
  onTestFinished(() => listening.close(0));
  return { ...listening, logged, hungUp };
}

/** One raw HTTP exchange, for what no well-behaved client would send. */
async function raw(
  url: string,
  options: { method?: string; path: string; headers?: Record<string, string>; body?: string },
) {
  return new Promise<{
    status: number;
    headers: NodeJS.Dict<string | string[]>;
    body: Record<string, unknown>;
  }>((resolve, reject) => {
    const outgoing = request(
      new URL(options.path, url),
      { method: options.method ?? 'GET', headers: options.headers, agent: false },
      (reply) => {
        let text = '';
        reply.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
        reply.on('end', () =>
          resolve({
            status: reply.statusCode ?? 0,
            headers: reply.headers,
            body: text === '' ? {} : (JSON.parse(text) as Record<string, unknown>),
          }),
        );
      },
    );
    outgoing.on('error', reject).end(options.body);
  });
}

const JSON_TYPE = { 'content-type': 'application/json' };

describe('a route served and called', () => {
  it('arrives parsed and answers in the shape of the contract', async () => {
    const { url } = await start();
    const reply = await callRoute(greet, {
      baseUrl: url,
      params: { who: 'a/ü %' },
      query: { loud: 'yes' },
      body: { word: 'Hi' },
    });
    expect(reply).toEqual({ text: 'Hi, a/ü %!' });
  });

  it('works the same over a Unix socket, which only its owner can open', async () => {
    const socketPath = join(await tempFolder(), 'admin.sock');
    const first = await start({ socketPath });
    await first.close();
    // A left-over socket file doesn't stand in the way.
    await start({ socketPath });
    expect(await callRoute(greet, { socketPath, params: { who: 'b' }, body: { word: 'Hi' } })).toEqual({
      text: 'Hi, b.',
    });
  });

  it('names every wrong field by its path', async () => {
    const { url } = await start();
    const error = await expectCode(
      callRoute(greet, { baseUrl: url, params: { who: 'x' }, body: { word: 1, extra: true } as never }),
      'request-invalid',
    );
    expect(error.data?.['faults']).toMatchObject([{ path: 'body.word' }, { path: 'body' }]);
  });

  it('refuses an unknown query where none is taken', async () => {
    const { url } = await start();
    expect((await raw(url, { path: '/broken?x=1' })).body['code']).toBe('request-invalid');
  });

  it('refuses a caller without a token, and says how to come with one', async () => {
    const { url } = await start();
    await expectCode(callRoute(secret, { baseUrl: url }), 'not-signed-in');
    expect(await callRoute(secret, { baseUrl: url, token: 'right' })).toEqual({ who: 'me' });
    expect((await raw(url, { path: '/secret' })).headers['www-authenticate']).toBe('Bearer realm="berth"');
    const wrong = await raw(url, { path: '/secret', headers: { authorization: 'Bearer wrong' } });
    expect(wrong.headers['www-authenticate']).toContain('invalid_token');
  });

  it('cannot be mounted without an answer to who calls when it needs one', async () => {
    const app = createApp({ log: createLogger({ level: 'silent', name: 'test' }) });
    expect(() => mount(app, secret, {}, () => ({ who: '' }))).toThrow(/needs a caller/);
  });
});

describe('problem documents', () => {
  it('answer an unknown address', async () => {
    const { url } = await start();
    const { status, headers, body } = await raw(url, { path: '/nowhere?token=x' });
    expect(status).toBe(404);
    expect(headers['content-type']).toContain('application/problem+json');
    expect(body).toMatchObject({
      code: 'route-not-found',
      status: 404,
      instance: `urn:uuid:${String(headers['x-request-id'])}`,
    });
    expect(JSON.stringify(body)).not.toContain('token');
  });

  it(
    'tell nothing of an unexpected fault, which the log has whole',
    verifies('registry.errors'),
    async () => {
      const { url, logged } = await start();
      const { status, body } = await raw(url, { path: '/broken' });
      expect(status).toBe(500);
      expect(body['code']).toBe('internal');
      expect(JSON.stringify(body)).not.toContain('hunter2');
      const entry = logged.find((line) => line.includes('hunter2'));
      expect(entry).toContain(String(body['instance']).slice('urn:uuid:'.length));
    },
  );

  it(
    'answer bodies that are no JSON, too large, too deep, of another type, or not asked for',
    verifies('registry.bounds'),
    async () => {
      const { url } = await start();
      const codeOf = async (body: string, headers: Record<string, string> = JSON_TYPE, path = '/greet/x') =>
        (await raw(url, { method: 'POST', path, headers, body })).body['code'];
      expect(await codeOf('{')).toBe('request-invalid');
      expect(await codeOf(JSON.stringify({ word: 'x'.repeat(2_000) }))).toBe('request-too-large');
      expect(await codeOf(`{"word":"x","rest":${'['.repeat(9)}${']'.repeat(9)}}`)).toBe('request-invalid');
      expect(await codeOf(`{"word":"x","rest":${'['.repeat(7)}${']'.repeat(7)}}`)).toBeUndefined();
      expect(await codeOf('{"word":"[[[[[[[[[[[[\\"[[[["}')).toBeUndefined();
      expect(await codeOf('{"word":"x"}', { 'content-type': 'text/plain' })).toBe('request-invalid');
      expect(await codeOf('', {})).toBe('request-invalid');
      expect(
        (await raw(url, { path: '/broken', headers: { ...JSON_TYPE, 'content-length': '2' }, body: '{}' }))
          .body['code'],
      ).toBe('request-invalid');
      expect((await raw(url, { path: '/greet/%ff', method: 'POST' })).body['code']).toBe('request-invalid');
    },
  );
});

describe('Host and Origin', () => {
  it('must be the own ones, with the port', verifies('registry.host-guard'), async () => {
    const { url } = await start();
    const { port } = new URL(url);
    const codeWith = async (headers: Record<string, string>) =>
      (await raw(url, { path: '/bytes2', headers })).body['code'];
    for (const host of [`localhost:${port}`, `127.0.0.1:${port}`, `LOCALHOST:${port}`]) {
      expect(await codeWith({ host })).toBe('route-not-found');
    }
    for (const host of [
      'localhost',
      `evil.example:${port}`,
      `127.0.0.1:${Number(port) + 1}`,
      `localhost.:${port}`,
    ]) {
      expect(await codeWith({ host }), host).toBe('host-refused');
    }
    expect(await codeWith({ origin: `http://localhost:${port}` })).toBe('route-not-found');
    for (const origin of ['null', 'http://localhost', `https://localhost:${port}`, 'https://evil.example']) {
      expect(await codeWith({ origin }), origin).toBe('host-refused');
    }
  });
});

describe('streams', () => {
  it('carry bytes both ways, within bounds', async () => {
    const { url } = await start();
    async function* chunks() {
      for (let index = 0; index < 10; index += 1) yield Buffer.alloc(50_000, index);
    }
    expect(await upload(sink, { baseUrl: url, bytes: chunks() })).toEqual({ bytes: 500_000 });
    expect(await upload(sink, { baseUrl: url, bytes: Buffer.alloc(3) })).toEqual({ bytes: 3 });
    const received: Uint8Array[] = [];
    for await (const chunk of download(bytes, { baseUrl: url, maxBytes: 1_000 })) received.push(chunk);
    expect(Buffer.concat(received)).toEqual(Buffer.alloc(1_000, 7));
    await expectCode(async () => {
      for await (const chunk of download(bytes, { baseUrl: url, maxBytes: 999 }))
        expect(chunk.length).toBeLessThan(1_000);
    }, 'request-too-large');
  });

  it('a refused sender still reads why', async () => {
    const { url } = await start();
    const large = Buffer.alloc(8 * 1_048_576);
    await expectCode(upload(refusing, { baseUrl: url, bytes: large }), 'request-too-large');
    async function* chunks() {
      for (let index = 0; index < 8; index += 1) yield large.subarray(0, 1_048_576);
    }
    await expectCode(upload(refusing, { baseUrl: url, bytes: chunks() }), 'request-too-large');
  });
});

describe('a server that is not as expected', () => {
  it('is not running', async () => {
    const { url, close } = await start();
    await close();
    const error = await expectCode(callRoute(secret, { baseUrl: url }), 'not-running');
    expect(error.hint).toContain('berth up');
    await expectCode(callRoute(secret, { socketPath: join(await tempFolder(), 'none.sock') }), 'not-running');
  });

  it('takes too long, and learns that nobody waits any more', async () => {
    const { url, hungUp } = await start();
    await expectCode(callRoute(hanging, { baseUrl: url, timeoutMs: 50 }), 'unavailable');
    await hungUp;
  });

  it('is left when the caller gives up', async () => {
    const { url } = await start();
    const controller = new AbortController();
    const reason = new Error('enough');
    const call = callRoute(hanging, { baseUrl: url, signal: controller.signal });
    controller.abort(reason);
    await expect(call).rejects.toBe(reason);
  });

  it('speaks something else', async () => {
    const { url } = await start();
    await expectCode(
      callRoute(
        route({ ...greet, method: 'GET', path: '/bytes', params: z.undefined(), body: z.undefined() }),
        { baseUrl: url },
      ),
      'unavailable',
    );
    await expectCode(
      callRoute(route({ ...secret, path: '/bytes' }), { baseUrl: url, maxBytes: 10 }),
      'request-too-large',
    );
  });

  it('ends idle and hung connections when it stops', async () => {
    const { url, close } = await start();
    const { port } = new URL(url);
    const idle = connect(Number(port), '127.0.0.1');
    await new Promise((resolve) => idle.once('connect', resolve));
    const ended = new Promise((resolve) => idle.once('close', resolve));
    const call = callRoute(hanging, { baseUrl: url }).catch((error: unknown) => error);
    const waiting = connect(Number(port), '127.0.0.1');
    await new Promise((resolve) => waiting.once('connect', resolve));
    waiting.on('error', () => undefined).write('GET /hanging HTTP/1.1\r\n');
    await close(100);
    await ended;
    expect(await call).toMatchObject({ code: 'unavailable' });
  });

  it('sends an answer to its last byte when it stops', verifies('hub.drain'), async () => {
    const { url, drain } = await start();
    const reply = await new Promise<IncomingMessage>((resolve, reject) =>
      request(new URL('/large', url), { agent: false }, resolve).on('error', reject).end(),
    );
    // None of the body was read: most of it is still with the server.
    const drained = drain();
    let bytes = 0;
    for await (const chunk of reply) bytes += (chunk as Buffer).length;
    await drained;
    expect(bytes).toBe(LARGE_BYTES);
  });

  it(
    'says on a kept connection that it is stopping, while it answers another',
    verifies('hub.drain'),
    async () => {
      const { url, drain } = await start();
      const agent = new Agent({ keepAlive: true, maxSockets: 1 });
      onTestFinished(() => agent.destroy());
      const get = (through: Agent | false) =>
        new Promise<IncomingMessage>((resolve, reject) => {
          request(new URL('/bytes', url), { agent: through }, (reply) =>
            reply.resume().once('end', () => resolve(reply)),
          )
            .once('error', reject)
            .end();
        });
      expect((await get(agent)).headers.connection).toBe('keep-alive');
      const slow = request(new URL('/sink', url), {
        method: 'PUT',
        agent: false,
        headers: { connection: 'keep-alive', expect: '100-continue' },
      });
      const answered = once(slow, 'response');
      slow.flushHeaders();
      await once(slow, 'continue');

      const drained = drain();
      await expect(get(false)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
      const refused = await get(agent);
      expect(refused.statusCode).toBe(503);
      expect(refused.headers).toMatchObject({ connection: 'close', 'retry-after': '5' });
      slow.end('the rest');
      const [reply] = (await answered) as [IncomingMessage];
      expect(reply.resume().statusCode).toBe(200);
      expect(reply.headers.connection).toBe('close');
      await drained;
    },
  );

  it('says so when its port is taken', async () => {
    const { url } = await start();
    await expectCode(start({ host: '127.0.0.1', port: Number(new URL(url).port) }), 'already-running');
  });
});
