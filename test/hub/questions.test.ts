import { describe, expect, it } from 'vitest';
import { type Asking, askable, isAnswer, offered, questionsOf, relayable } from '../../hub/questions.ts';
import { expectCode } from '../support/expect-code.ts';
import { verifies } from '../support/verifies.ts';

const ASKING: Asking = {
  title: 'Files',
  skill: 'dev.berth/files',
  offered: { elicitation: { form: {}, url: {} }, sampling: {}, roots: {} },
  ownHosts: ['127.0.0.1:4750'],
};
const form = (properties: Record<string, unknown>, message = 'Which one?') => ({
  method: 'elicitation/create' as const,
  params: { message, requestedSchema: { type: 'object', properties } },
});
const link = (url: string) => ({
  method: 'elicitation/create' as const,
  params: { mode: 'url', message: 'Look here', url, elicitationId: 'one' },
});
const refused = (question: Parameters<typeof relayable>[1], asking = ASKING) =>
  expectCode(
    Promise.resolve().then(() => relayable(asking, question)),
    'question-refused',
  );

describe('a question of a skill', () => {
  it('says who asks, and cannot hide it', verifies('mcp.asks-labelled'), () => {
    const { params } = relayable(ASKING, form({ choice: { type: 'string' } }, '\u202eWhich\u0007 one?'));
    expect(params['message']).toBe('Files (dev.berth/files) asks:  Which  one?');
  });

  it.each([
    'password',
    'apiKey',
    'api_key',
    'GITHUB_TOKEN',
    'cardNumber',
    'pin',
    'one-time code',
    'client_secret',
    'seedPhrase',
  ])('that asks for %s is not put', verifies('mcp.asks-labelled'), async (name) => {
    await refused(form({ [name]: { type: 'string' } }));
    await refused(form({ field: { type: 'string', title: `Your ${name.replaceAll('_', ' ')}` } }));
  });

  it(
    'may speak of secrets where the answer is too small to be one, and only once',
    verifies('mcp.asks-labelled'),
    async () => {
      const said = { description: 'Your favorite integer (not your pin)' };
      const small = { ...said, type: 'integer', minimum: 1, maximum: 100 };
      expect(relayable(ASKING, form({ small })).method).toBe('elicitation/create');
      expect(relayable(ASKING, form({ sure: { ...said, type: 'boolean' } })).method).toBe(
        'elicitation/create',
      );
      await refused(form({ first: small, second: small }));
      await refused(form({ large: { ...small, maximum: 999 } }));
      await refused(form({ turned: { ...small, maximum: 0 } }));
      await refused(form({ open: { ...said, type: 'integer', maximum: 9 } }));
      await refused(form({ fraction: { ...small, type: 'number' } }));
    },
  );

  it('for other things is put', verifies('mcp.asks-labelled'), () => {
    for (const name of ['name', 'opinion', 'email', 'spinner', 'keyboard', 'city'])
      expect(relayable(ASKING, form({ [name]: { type: 'string' } })).method).toBe('elicitation/create');
  });

  it('leads to no address of the hub, and only to plain https', verifies('mcp.asks-labelled'), async () => {
    await refused(form({}, 'Open http://127.0.0.1:4750/approve'));
    await refused(link('https://127.0.0.1:4750/'));
    await refused(link('http://example.com'));
    await refused(link('javascript:alert(1)'));
    await refused(link('https://user:pass@example.com'));
    expect(relayable(ASKING, link('https://example.com/pay')).params['url']).toBe('https://example.com/pay');
  });

  it('needs what was granted and what the client has', verifies('mcp.asks-labelled'), async () => {
    const nothing = { ...ASKING, offered: {} };
    await refused(form({}), nothing);
    await refused({ method: 'sampling/createMessage', params: {} }, nothing);
    await refused({ method: 'roots/list', params: {} }, nothing);
    await refused(link('https://example.com'), { ...ASKING, offered: { elicitation: { form: {} } } });
  });
});

describe('capabilities', () => {
  it('are taken in one form, whatever else the client says', verifies('mcp.asks'), () => {
    expect(askable({ elicitation: {}, sampling: 7, tools: {}, roots: { listChanged: true } })).toEqual({
      elicitation: { form: {} },
      roots: {},
    });
    expect(askable({ elicitation: { url: { x: 1 } } })).toEqual({ elicitation: { url: {} } });
    expect(askable('nonsense')).toEqual({});
  });

  it('reach a skill only where it was granted to ask', verifies('mcp.asks'), () => {
    const all = askable({ elicitation: {}, sampling: {}, roots: {} });
    expect(offered(all, { elicitation: true, sampling: false, roots: false })).toEqual({
      elicitation: { form: {} },
    });
  });
});

describe('input requests and responses', () => {
  it('are bounded and of a kind that MCP has', verifies('mcp.asks'), async () => {
    const many = Object.fromEntries(
      Array.from({ length: 17 }, (_none, index) => [`q${index}`, { method: 'roots/list' }]),
    );
    for (const requests of [many, { q: { method: 'tools/call' } }, 'text', { q: 1 }])
      await expectCode(
        Promise.resolve().then(() => questionsOf('x', requests)),
        'skill-output-invalid',
      );
    expect(questionsOf('x', undefined)).toEqual({});
    expect(isAnswer('elicitation/create', { action: 'maybe' })).toBe(false);
    expect(isAnswer('roots/list', { roots: [{ uri: 'file:///x' }] })).toBe(true);
  });
});
