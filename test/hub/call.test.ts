import { describe, expect, it } from 'vitest';
import type { GatewayRequest } from '../../hub/mcp/gateway.ts';
import { AppError } from '../../protocol/errors.ts';
import type { CallingClient, Questions } from '../../hub/questions.ts';
import { callPath, echo } from '../support/call-path.ts';
import { installedSkill, tool } from '../support/installed-skill.ts';
import { expectCode } from '../support/expect-code.ts';
import { verifies } from '../support/verifies.ts';

const EVERY: [GatewayRequest['method'], Record<string, unknown>][] = [
  ['tools/call', { name: 'say', arguments: {} }],
  ['prompts/get', { name: 'hello' }],
  ['resources/read', { uri: 'memo://one' }],
  [
    'completion/complete',
    { ref: { type: 'ref/resource', uri: 'memo://{id}' }, argument: { name: 'id', value: '' } },
  ],
];

describe('a call', () => {
  it('is on record before it happens and after it ended', verifies('call.recorded'), async () => {
    const seenAtWork: unknown[] = [];
    const path = await callPath({
      perform: async () => {
        seenAtWork.push(...(await path.records()).map((record) => record['event']));
        return { content: [] };
      },
    });
    for (const [method, params] of EVERY) {
      seenAtWork.length = 0;
      await path.request(method, params);
      expect(seenAtWork.at(-1)).toBe('call.decided');
    }
    const events = (await path.records()).map((record) => [
      record['event'],
      record['outcome'] ?? record['answer'],
    ]);
    expect(events).toEqual(
      EVERY.flatMap(() => [
        ['call.decided', 'allow'],
        ['call.finished', 'ok'],
      ]),
    );
    expect(await path.verify()).toMatchObject({ records: 8 });
  });

  it('does not happen when policy denies, asks, or fails to answer', verifies('call.policy'), async () => {
    const path = await callPath({});
    await expectCode(path.request('tools/call', { name: 'wipe', arguments: {} }), 'call-needs-approval');
    await expectCode(path.request('tools/call', { name: 'off', arguments: {} }), 'call-denied');
    expect(path.performed).toEqual([]);
    expect((await path.records()).map((record) => record['answer'])).toEqual(['ask', 'deny']);

    const broken = await callPath({ policy: { decide: () => Promise.reject(new Error('engine')) } });
    const refusing = await callPath({ policy: { decide: async () => ({ answer: 'deny', reasons: [] }) } });
    for (const [method, params] of EVERY) {
      await expect(broken.request(method, params)).rejects.toThrow('engine');
      await expectCode(refusing.request(method, params), 'call-denied');
    }
    expect([...broken.performed, ...refusing.performed]).toEqual([]);
  });

  it('does not happen when it cannot be recorded', verifies('audit.fail-closed'), async () => {
    const path = await callPath({});
    await path.close();
    for (const [method, params] of EVERY) await expect(path.request(method, params)).rejects.toThrow();
    expect(path.performed).toEqual([]);
  });

  it(
    'does not happen when the disk takes no record, then or later',
    verifies('audit.disk-lost'),
    async () => {
      let works = false;
      const path = await callPath({
        async syncFile() {
          if (!works) throw new Error('the disk is gone');
        },
      });
      const say = () => path.request('tools/call', { name: 'say', arguments: {} });
      const together = async () => (await Promise.allSettled([say(), say()])).map(({ status }) => status);
      expect(await together()).toEqual(['rejected', 'rejected']);
      works = true;
      expect(await together()).toEqual(['rejected', 'rejected']);
      await expect(say()).rejects.toThrow();
      expect(path.performed).toEqual([]);
    },
  );

  it('does not happen when what was decided on has changed meanwhile', verifies('call.epoch'), async () => {
    const path = await callPath({
      policy: {
        decide: async () => {
          path.change([{ ...echo, epoch: 2 }]);
          return { answer: 'allow', reasons: [] };
        },
      },
    });
    await expectCode(path.request('tools/call', { name: 'say', arguments: {} }), 'call-denied');
    expect(path.performed).toEqual([]);
  });

  it('of a quarantined or blocked skill is refused with the reason', async () => {
    const quarantined = await callPath({ skills: [{ ...echo, quarantine: [{ path: 'tools.say' }] }] });
    await expectCode(quarantined.request('tools/call', { name: 'say', arguments: {} }), 'skill-quarantined');
    const blocked = await callPath({
      skills: [{ ...echo, blocked: 'It asks for network hosts.', lacks: ['hostFilter'] }],
    });
    const error = await expectCode(
      blocked.request('tools/call', { name: 'say', arguments: {} }),
      'sandbox-cannot-enforce',
    );
    expect(error.data?.['missing']).toEqual(['hostFilter']);
  });

  it(
    'that is refused tells the agent why, and not how to approve itself',
    verifies('call.no-self-approval'),
    async () => {
      const path = await callPath({});
      for (const name of ['wipe', 'off']) {
        const error = await path.request('tools/call', { name, arguments: {} }).then(
          () => undefined,
          (thrown: AppError) => thrown,
        );
        const text = `${error?.message} ${error?.hint}`;
        expect(text).toContain('admin');
        expect(text).not.toMatch(/berth |https?:|approve |call_|--/);
      }
    },
  );

  it('keeps secrets out of results and records', verifies('call.redacts-secrets'), async () => {
    const path = await callPath({
      secrets: new Map([['TOKEN', 'hush-hush-hush']]),
      perform: async () => ({ content: [{ type: 'text', text: 'it is hush-hush-hush' }] }),
    });
    const result = await path.request('tools/call', { name: 'say', arguments: { echo: 'hush-hush-hush' } });
    expect(JSON.stringify([result, await path.records()])).not.toContain('hush');
  });

  it('ends on record however it ends', async () => {
    const endings = [
      [new AppError('skill-crashed', { detail: 'gone' }), 'crashed'],
      [new AppError('skill-timeout', { detail: 'late' }), 'timeout'],
      [new AppError('call-cancelled', { detail: 'stop' }), 'cancelled'],
      [new AppError('skill-start-failed', { detail: 'no' }), 'error'],
      [new TypeError('a bug'), 'error'],
    ] as const;
    for (const [failure, outcome] of endings) {
      const path = await callPath({ perform: () => Promise.reject(failure) });
      await expect(path.request('tools/call', { name: 'say', arguments: {} })).rejects.toBe(failure);
      expect((await path.records()).at(-1)).toMatchObject({ event: 'call.finished', outcome });
    }
  });

  it('that was let through and then not made has its end on record', verifies('call.recorded'), async () => {
    const path = await callPath({
      policy: {
        decide: async () => {
          path.change([{ ...echo, epoch: 2 }]);
          return { answer: 'allow', reasons: [] };
        },
      },
    });
    await expectCode(path.request('tools/call', { name: 'say', arguments: {} }), 'call-denied');
    expect((await path.records()).at(-1)).toMatchObject({ event: 'call.finished', outcome: 'error' });
  });

  it('keeps its result when its end cannot be recorded', verifies('call.result-kept'), async () => {
    const path = await callPath({
      perform: async () => {
        await path.close();
        return { content: [{ type: 'text', text: 'it is done' }] };
      },
    });
    const result = await path.request('tools/call', { name: 'say', arguments: {} });
    expect(JSON.stringify(result)).toContain('it is done');
  });

  it('is recorded whatever characters it holds', verifies('audit.one-by-one'), async () => {
    const path = await callPath({
      perform: () => Promise.reject(new AppError('skill-error', { detail: `half a pair: \ud800` })),
    });
    const smiles = Array.from({ length: 200 }, () => '😀'.repeat(50));
    for (const offset of ['', 'x']) {
      await expectCode(
        path.request('tools/call', { name: 'say', arguments: { offset, smiles } }),
        'skill-error',
      );
    }
    await expectCode(path.request('resources/read', { uri: 'memo://\ud800' }), 'request-invalid');
    expect((await path.records()).map((record) => record['event'])).toEqual([
      'call.decided',
      'call.finished',
      'call.decided',
      'call.finished',
    ]);
  });

  it('with arguments that are no object is refused before anything', async () => {
    const path = await callPath({});
    for (const args of [[], 'text', 7]) {
      await expectCode(path.request('tools/call', { name: 'say', arguments: args }), 'arguments-invalid');
    }
    expect(await path.records()).toEqual([]);
  });
});

describe('a skill that asks during a call', () => {
  const asks = installedSkill({
    manifest: {
      title: 'Echo',
      permissions: { mcp: { elicitation: true } },
    },
    surface: { tools: [tool('say')] },
    answers: { say: 'allow' },
  });
  const question = {
    method: 'elicitation/create' as const,
    params: { message: 'Which hush?', requestedSchema: { type: 'object', properties: {} } },
  };
  const client = (put: Questions[]): CallingClient => ({
    capabilities: { elicitation: { form: {} }, sampling: {} },
    async ask(questions) {
      put.push(questions);
      return { q: { action: 'accept' } };
    },
  });

  it(
    'is labelled, redacted, on record, and offered only what it may',
    verifies('mcp.asks-labelled'),
    async () => {
      const put: Questions[] = [];
      const offeredTo: unknown[] = [];
      const path = await callPath({
        skills: [asks],
        secrets: new Map([['KEY', 'hush']]),
        async perform(request) {
          offeredTo.push(request.client?.capabilities);
          await request.client?.ask({ q: question });
          return { content: [] };
        },
      });
      await path.request('tools/call', { name: 'say', arguments: {} }, undefined, {
        client: client(put),
      });
      expect(offeredTo).toEqual([{ elicitation: { form: {} } }]);
      expect(put[0]?.['q']?.params['message']).toMatch(/^Echo \(local\.test\/echo\) asks: Which .*\?$/);
      expect(JSON.stringify(put)).not.toContain('hush');
      expect((await path.records()).map((record) => record['event'])).toEqual([
        'call.decided',
        'call.asked',
        'call.finished',
      ]);
    },
  );

  it('hears no answer once what it may do has changed', verifies('mcp.asks-bound'), async () => {
    const path = await callPath({
      skills: [asks],
      async perform(request) {
        await request.client?.ask({ q: question });
        return { content: [] };
      },
    });
    const changing: CallingClient = {
      ...client([]),
      async ask() {
        path.change([{ ...asks, epoch: asks.epoch + 1 }]);
        return { q: { action: 'accept' } };
      },
    };
    await expectCode(
      path.request('tools/call', { name: 'say', arguments: {} }, undefined, { client: changing }),
      'call-denied',
    );
  });
});
