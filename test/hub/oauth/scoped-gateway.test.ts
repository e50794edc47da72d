import { describe, expect, it } from 'vitest';
import type { Principal, Scope } from '../../../hub/mcp/gateway.ts';
import { scopedGateway } from '../../../hub/oauth/scoped-gateway.ts';
import { callPath } from '../../support/call-path.ts';
import { expectCode } from '../../support/expect-code.ts';
import { installedSkill, tool } from '../../support/installed-skill.ts';
import { verifies } from '../../support/verifies.ts';

const ALL: Scope = { kind: 'all' };

function skill(last: string) {
  return installedSkill({
    name: `local.test/${last}`,
    surface: {
      instructions: `How to use ${last}.`,
      tools: [tool('read'), tool('write')],
      prompts: [{ name: 'hello' }],
      resources: [{ uri: `${last}://one`, name: 'one' }],
      resourceTemplates: [{ uriTemplate: `${last}://{id}`, name: 'any' }],
      capabilities: { completions: true },
    },
    answers: { read: 'allow', write: 'allow' },
  });
}

async function rig() {
  const path = await callPath({ skills: [skill('notes'), skill('mail')] });
  const gateway = scopedGateway({
    gateway: path.gateway,
    installed: path.installed,
    scopes: {
      notes: { skills: ['local.test/notes'] },
      'mail:read': { skills: ['local.test/mail'], tools: ['read'] },
    },
  });
  return { ...path, gateway };
}

const ada = (...scopes: string[]): Principal => ({ user: 'ada@https://id.test', client: 'c', scopes });
const order = (
  method: 'tools/call' | 'prompts/get' | 'resources/read' | 'completion/complete',
  params: object,
) => ({ method, params: params as Record<string, unknown>, signal: AbortSignal.any([]) }) as const;

describe('what a token shows', () => {
  it(
    'is everything of the skills that its scopes open, and nothing of others',
    verifies('oauth.scopes'),
    async () => {
      const { gateway } = await rig();
      const view = gateway.view(ada('notes'), ALL);
      expect(view.instructions).toBe('## notes\nHow to use notes.');
      expect(view.tools.map(({ name }) => name)).toEqual(['notes__read', 'notes__write']);
      expect(view.prompts.map(({ name }) => name)).toEqual(['notes__hello']);
      expect(view.resources.map(({ uri }) => uri)).toEqual(['notes://one']);
      expect(view.resourceTemplates.map(({ uriTemplate }) => uriTemplate)).toEqual(['notes://{id}']);
      expect(view.completions).toBe(true);
    },
  );

  it('is of a skill whose tools are named these tools alone', verifies('oauth.scopes'), async () => {
    const { gateway } = await rig();
    const view = gateway.view(ada('mail:read'), ALL);
    expect(view.tools.map(({ name }) => name)).toEqual(['mail__read']);
    expect([view.prompts, view.resources, view.resourceTemplates, view.completions]).toEqual([
      [],
      [],
      [],
      false,
    ]);
  });

  it('is made once, and anew when skills change', async () => {
    const { gateway } = await rig();
    expect(gateway.view(ada('notes'), ALL)).toBe(gateway.view(ada('notes'), ALL));
    expect(gateway.view(ada('mail:read'), ALL)).not.toBe(gateway.view(ada('notes'), ALL));
  });
});

describe('what a token does not open', () => {
  it.each([
    order('tools/call', { name: 'mail__write', arguments: {} }),
    order('prompts/get', { name: 'mail__hello' }),
    order('resources/read', { uri: 'mail://one' }),
    order('resources/read', { uri: 'mail://two' }),
    order('completion/complete', { ref: { type: 'ref/prompt', name: 'mail__hello' }, argument: {} }),
    order('completion/complete', { ref: { type: 'ref/resource', uri: 'mail://{id}' }, argument: {} }),
  ])('is refused: $method $params', verifies('oauth.scopes'), async (asked) => {
    const { gateway, performed, records } = await rig();
    await expectCode(gateway.request(ada('notes', 'mail:read'), ALL, asked), 'forbidden');
    await expectCode(gateway.request(ada(), ALL, asked), 'forbidden');
    expect([performed, await records()]).toEqual([[], []]);
  });

  it('names the scope that would open it', verifies('oauth.scopes'), async () => {
    const { gateway } = await rig();
    const asked = order('tools/call', { name: 'notes__read', arguments: {} });
    const error = await expectCode(gateway.request(ada('mail:read'), ALL, asked), 'insufficient-scope');
    expect(error.data).toEqual({ scope: 'notes' });
  });

  it(
    'is everything for somebody from elsewhere whose scopes were lost',
    verifies('oauth.scopes'),
    async () => {
      const { gateway } = await rig();
      const lost: Principal = { user: 'ada@https://id.test', client: 'c' };
      await expectCode(() => gateway.view(lost, ALL), 'insufficient-scope');
      await expectCode(
        gateway.request(lost, ALL, order('tools/call', { name: 'notes__read', arguments: {} })),
        'insufficient-scope',
      );
    },
  );
});

describe('a local client', () => {
  it('sees and calls everything, and goes on record as before', verifies('oauth.scopes'), async () => {
    const { gateway, records } = await rig();
    const owner: Principal = { user: 'owner', client: 'editor' };
    expect(gateway.view(owner, ALL).tools).toHaveLength(4);
    await gateway.request(owner, ALL, order('tools/call', { name: 'mail__write', arguments: {} }));
    expect((await records())[0]).toMatchObject({ event: 'call.decided', principal: owner });
  });
});
