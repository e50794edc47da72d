import { describe, expect, it } from 'vitest';
import type { CallingClient } from '../../../hub/questions.ts';
import { captureSurface } from '../../../hub/runner/capture.ts';
import type { RemotePlan } from '../../../hub/runner/remote.ts';
import type { RunnableSkill } from '../../../hub/runner/runner.ts';
import type { Surface } from '../../../protocol/surface.ts';
import { expectCode } from '../../support/expect-code.ts';
import { IDENTITY } from '../../support/fixture-skills.ts';
import { logLines } from '../../support/log-lines.ts';
import { manualClock } from '../../support/manual-clock.ts';
import { plainDriver } from '../../support/plain-driver.ts';
import { type Gate, legacyRemote, modernRemote } from '../../support/remote-server.ts';
import { verifies } from '../../support/verifies.ts';
import { callTool, runnerRig, textOf } from './rig.ts';

const ASKABLE = { elicitation: { form: {} } };
const SERVERS = { modern: modernRemote, legacy: legacyRemote };
const PROTOCOLS = { modern: '2026-07-28', legacy: '2025-11-25' };
type Era = keyof typeof SERVERS;

function planOf(url: string): RemotePlan {
  return { label: 'org.example/remote@1.0.0', url, fetch };
}

function captured(era: Era, url: string): Promise<Surface> {
  return captureSurface(
    { driver: plainDriver(), identity: IDENTITY, log: logLines().log },
    { plan: planOf(url), protocol: PROTOCOLS[era], offered: ASKABLE },
  );
}

function remoteSkill(era: Era, url: string, surface: Surface): RunnableSkill {
  return {
    name: 'org.example/remote',
    version: '1.0.0',
    protocol: PROTOCOLS[era],
    epoch: '1',
    surface,
    captured: ASKABLE,
    mayAsk: ASKABLE,
    timeoutMs: 10_000,
    plan: async () => planOf(url),
  };
}

async function approved(era: Era, gate: Gate = () => false) {
  const server = await SERVERS[era]({ gate });
  return { server, skill: remoteSkill(era, server.url, await captured(era, server.url)) };
}

const client: CallingClient = {
  capabilities: ASKABLE,
  ask: async (questions) =>
    Object.fromEntries(
      Object.keys(questions).map((key) => [key, { action: 'accept', content: { name: 'Ada' } }]),
    ),
};

describe.each(['modern', 'legacy'] as const)('a %s remote server', (era) => {
  it('is called, and reports progress', verifies('remote.both-eras'), async () => {
    const { skill } = await approved(era);
    const { runner, told } = runnerRig();
    const echo = await callTool(runner, skill, 'echo', { arguments: { message: 'hello' } });
    expect(textOf(echo)).toBe('hello');
    const seen: number[] = [];
    await callTool(runner, skill, 'count', { onProgress: ({ progress }) => seen.push(progress) });
    expect(seen).toEqual([1, 2, 3]);
    expect(told).toEqual([
      { event: 'started', skill: 'org.example/remote', version: '1.0.0', user: 'owner' },
    ]);
  });

  it('hears of a cancellation, and lives on', verifies('remote.both-eras'), async () => {
    const { server, skill } = await approved(era);
    const { runner } = runnerRig();
    const giveUp = new AbortController();
    const call = callTool(runner, skill, 'wait', { signal: giveUp.signal });
    await server.said('waiting');
    giveUp.abort();
    await expectCode(call, 'call-cancelled');
    await server.said('cancelled');
    expect(textOf(await callTool(runner, skill, 'echo', { arguments: { message: 'still' } }))).toBe('still');
  });

  it('asks whoever calls it', verifies('remote.both-eras'), async () => {
    const { skill } = await approved(era);
    const { runner } = runnerRig();
    const { signal } = new AbortController();
    const params = { name: 'whom', arguments: {} };
    const answer = await runner.request(skill, 'owner', { method: 'tools/call', params, signal, client });
    expect(textOf(answer)).toBe('asked Ada');
  });

  it('is left when it says something else than was approved', verifies('remote.surface'), async () => {
    const { server, skill } = await approved(era);
    const { runner, heard } = runnerRig();
    await callTool(runner, skill, 'echo', { arguments: { message: 'a' } });
    await server.change();
    const { differences } = await heard('surfaceChanged');
    expect(differences).toMatchObject([{ path: 'tools.echo.description' }]);
    await heard('stopped');
    await expectCode(callTool(runner, skill, 'echo', { arguments: { message: 'b' } }), 'skill-quarantined');
  });

  it(
    'loses the calls of a connection that breaks off, and no others',
    verifies('remote.faults'),
    async () => {
      const { server, skill } = await approved(era);
      const { runner } = runnerRig();
      const call = callTool(runner, skill, 'wait');
      await server.said('waiting');
      server.breakOff();
      const error = await expectCode(call, 'remote-failed');
      expect(error.message).toContain('Whether it took effect is not known');
      expect(textOf(await callTool(runner, skill, 'echo', { arguments: { message: 'on' } }))).toBe('on');
    },
  );

  it('that refuses a request fails that call, with the status alone', verifies('remote.faults'), async () => {
    let refuse = false;
    const { skill } = await approved(era, (_request, response) => {
      if (refuse) response.writeHead(503).end('secret words');
      return refuse;
    });
    const { runner } = runnerRig();
    await callTool(runner, skill, 'echo', { arguments: { message: 'a' } });
    refuse = true;
    const error = await expectCode(
      callTool(runner, skill, 'echo', { arguments: { message: 'b' } }),
      'remote-failed',
    );
    expect(error.message).toContain('503');
    expect(error.message).not.toContain('secret words');
    refuse = false;
    expect(textOf(await callTool(runner, skill, 'echo', { arguments: { message: 'c' } }))).toBe('c');
  });

  it('cannot make the hub keep a message of any size', verifies('remote.bounded'), async () => {
    let flood = false;
    const { skill } = await approved(era, (_request, response) => {
      if (!flood) return false;
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      const write = (): void => {
        while (!response.destroyed && response.write(`data: ${'x'.repeat(65_536)}\n`));
        if (!response.destroyed) response.once('drain', write);
      };
      write();
      return true;
    });
    const { runner } = runnerRig({ limits: { maxMessageBytes: 1_048_576 } });
    await callTool(runner, skill, 'echo', { arguments: { message: 'a' } });
    flood = true;
    await expectCode(
      callTool(runner, skill, 'echo', { arguments: { message: 'b' } }),
      'skill-output-too-large',
    );
    flood = false;
    expect(textOf(await callTool(runner, skill, 'echo', { arguments: { message: 'c' } }))).toBe('c');
  });

  it('that answers in JSON nested without end is left', verifies('remote.bounded'), async () => {
    let deep = false;
    const { skill } = await approved(era, async (request, response) => {
      if (!deep || request.method !== 'POST') return false;
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      const { id } = JSON.parse(Buffer.concat(chunks).toString()) as { id?: number };
      const result = `{"content":[],"x":${'['.repeat(100_000)}${']'.repeat(100_000)}}`;
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(`{"jsonrpc":"2.0","id":${id},"result":${result}}`);
      return true;
    });
    const { runner } = runnerRig();
    await callTool(runner, skill, 'echo', { arguments: { message: 'a' } });
    deep = true;
    await expectCode(
      callTool(runner, skill, 'echo', { arguments: { message: 'b' } }),
      'skill-output-invalid',
    );
  });
});

describe('a remote server that is not there', () => {
  it('fails the call, and says that nothing was done', verifies('remote.faults'), async () => {
    const { skill } = await approved('modern');
    const { runner } = runnerRig();
    const gone = await modernRemote();
    await gone.close();
    const moved = { ...skill, plan: async () => planOf(gone.url) };
    const error = await expectCode(callTool(runner, moved, 'echo'), 'remote-failed');
    expect(error.message).toContain('Nothing was done');
  });
});

describe('a session of a remote server', () => {
  it('is deleted at the end', verifies('remote.both-eras'), async () => {
    const { server, skill } = await approved('legacy');
    const { runner } = runnerRig();
    await callTool(runner, skill, 'echo', { arguments: { message: 'a' } });
    await runner.close();
    expect((server as Awaited<ReturnType<typeof legacyRemote>>).sessions()).toBe(0);
    const versions = new Set(
      server.seen
        .filter(({ body }) => body.method !== 'initialize')
        .map(({ headers }) => headers['mcp-protocol-version']),
    );
    expect([...versions]).toEqual(['2025-11-25']);
  });

  it('that the server forgot costs one call', verifies('remote.faults'), async () => {
    const { server, skill } = await approved('legacy');
    const { runner } = runnerRig();
    await callTool(runner, skill, 'echo', { arguments: { message: 'a' } });
    await server.forget();
    await expectCode(callTool(runner, skill, 'echo', { arguments: { message: 'b' } }), 'skill-crashed');
    expect(textOf(await callTool(runner, skill, 'echo', { arguments: { message: 'c' } }))).toBe('c');
  });
});

describe('a watched resource of a remote server', () => {
  it('counts as changed when the stream broke off meanwhile', verifies('remote.both-eras'), async () => {
    const { server, skill } = await approved('modern');
    const clock = manualClock();
    const updates: string[] = [];
    let wake = (): void => undefined;
    const { runner } = runnerRig({
      clock,
      updated({ uri }) {
        updates.push(uri);
        wake();
      },
    });
    const next = () => new Promise<void>((resolve) => (wake = resolve));
    const { signal } = new AbortController();
    await runner.request(skill, 'owner', {
      method: 'resources/subscribe',
      params: { uri: 'note://one' },
      signal,
    });
    expect(server.seen.some(({ body }) => body.method === 'subscriptions/listen')).toBe(true);
    server.breakOff();
    const told = next();
    while (clock.waiting() < 1) await new Promise(setImmediate);
    while (updates.length === 0) {
      clock.advance(1_000);
      await new Promise(setImmediate);
    }
    await told;
    expect(updates[0]).toBe('note://one');
  });
});

describe('a remote tool', () => {
  it(
    'gets arguments in headers, and is left out when it asks for impossible ones',
    verifies('remote.headers'),
    async () => {
      const headed = (type: string) => ({
        type: 'object',
        properties: { region: { type, 'x-mcp-header': 'Region' } },
      });
      const tools = [
        { name: 'good', inputSchema: headed('string') },
        { name: 'bad', inputSchema: headed('object') },
      ];
      const calls: unknown[] = [];
      const { url } = await modernRemote({
        async gate(request, response) {
          const chunks: Buffer[] = [];
          for await (const chunk of request) chunks.push(chunk as Buffer);
          const { id, method } = JSON.parse(Buffer.concat(chunks).toString()) as {
            id: number;
            method: string;
          };
          if (method === 'tools/call') calls.push(request.headers['mcp-param-region']);
          const results: Record<string, object> = {
            'server/discover': { supportedVersions: ['2026-07-28'], capabilities: { tools: {} } },
            'tools/list': { tools },
            'tools/call': { content: [] },
          };
          response.writeHead(200, { 'content-type': 'application/json' });
          response.end(
            JSON.stringify({ jsonrpc: '2.0', id, result: { resultType: 'complete', ...results[method] } }),
          );
          return true;
        },
      });
      const surface = await captured('modern', url);
      expect(surface.tools.map(({ name }) => name)).toEqual(['good']);
      const { runner } = runnerRig();
      await callTool(runner, remoteSkill('modern', url, surface), 'good', {
        arguments: { region: 'Zürich' },
      });
      expect(calls).toEqual([`=?base64?${Buffer.from('Zürich').toString('base64')}?=`]);
    },
  );
});
