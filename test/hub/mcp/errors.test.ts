import { describe, expect, it } from 'vitest';
import { missingCapability, protocolError, textForAgents, toolFailure } from '../../../hub/mcp/errors.ts';
import { AppError, type ErrorCode } from '../../../protocol/errors.ts';
import { logLines } from '../../support/log-lines.ts';
import { verifies } from '../../support/verifies.ts';

function place() {
  const { log, lines } = logLines();
  return { requestId: '7b1e', log, lines };
}

const appError = (code: ErrorCode, detail = 'Something happened.', hint?: string): AppError =>
  new AppError(code, { detail, ...(hint === undefined ? {} : { hint }) });

describe('a failed tool call', () => {
  it.each([
    'call-denied',
    'call-needs-approval',
    'skill-timeout',
    'skill-crashed',
    'skill-quarantined',
    'arguments-invalid',
  ] as const)('with %s is a result that a model can act on', verifies('mcp.errors'), (code) => {
    const result = toolFailure(appError(code, 'It was not done.', 'Try something else.'), place());
    expect(result).toMatchObject({ isError: true });
    expect(JSON.stringify(result)).toMatch(/It was not done\. Try something else\./);
  });

  it.each(['tool-not-found', 'request-invalid'] as const)(
    'with %s is a protocol error',
    verifies('mcp.errors'),
    (code) => {
      expect(() => toolFailure(appError(code), place())).toThrow(expect.objectContaining({ code: -32602 }));
    },
  );
});

describe('a failed request of another kind', () => {
  it.each([
    ['prompt-not-found', -32602],
    ['resource-not-found', -32602],
    ['arguments-invalid', -32602],
    ['call-denied', -32000],
    ['skill-busy', -32000],
  ] as const)('with %s has the code %d', verifies('mcp.errors'), (code, rpc) => {
    expect(protocolError(appError(code), place())).toMatchObject({ code: rpc, data: { code } });
  });

  it('says what the skill said where the skill does not know what was asked', () => {
    for (const [rpc, code] of [
      [-32602, -32602],
      [-32002, -32602],
      [-32603, -32000],
    ] as const) {
      const error = new AppError('skill-error', {
        detail: 'No such thing.',
        data: { rpc: { code: rpc, message: '' } },
      });
      expect(protocolError(error, place()).code).toBe(code);
    }
  });

  it('names a resource that is not there', () => {
    const error = new AppError('resource-not-found', { detail: 'No.', data: { uri: 'test://x' } });
    expect(protocolError(error, place()).data).toMatchObject({ uri: 'test://x' });
  });

  it('for want of a capability names what the client should declare, and nothing else of the skill', () => {
    const of = (code: number, data: unknown) =>
      missingCapability(new AppError('skill-error', { detail: 'No.', data: { rpc: { code, data } } }));
    const asked = { sampling: { secret: 1 }, 'dev.secret/other': {} };
    expect(of(-32021, { requiredCapabilities: asked })).toMatchObject({
      code: -32021,
      data: { requiredCapabilities: { sampling: {} } },
    });
    for (const data of [undefined, null, 'x', { requiredCapabilities: null }])
      expect(of(-32021, data)).toMatchObject({ code: -32021, data: { requiredCapabilities: {} } });
    expect(of(-32602, { requiredCapabilities: asked })).toBeUndefined();
  });

  it('that nobody expected tells an id and nothing else, and is logged whole', verifies('mcp.errors'), () => {
    const { lines, ...where } = place();
    const error = protocolError(new TypeError('secret internals'), where);
    expect(error).toMatchObject({ code: -32603, data: { code: 'internal', requestId: '7b1e' } });
    expect(JSON.stringify([error.message, error.data])).not.toContain('secret');
    expect(lines).toMatchObject([{ requestId: '7b1e', err: { message: 'secret internals' } }]);
  });
});

describe('what an agent is told', () => {
  it('never helps it to approve its own call', verifies('mcp.no-self-approval'), () => {
    for (const secret of [
      'Run berth approve call_01J9XYZ now.',
      'Type `approve` in the console.',
      'Open http://127.0.0.1:4750/approvals/1 in a browser.',
      'It waits as call_01J9XYZ.',
      'It waits as install_42.',
    ]) {
      for (const error of [
        appError('call-needs-approval', `Sending mail needs an approval. ${secret} It was not done.`),
        appError('call-needs-approval', 'Sending mail needs an approval. It was not done.', secret),
      ]) {
        const told = textForAgents(error);
        expect(told).toBe('This call needs an approval. Sending mail needs an approval. It was not done.');
      }
    }
  });

  it('keeps names of skills, which hold our name, and drops control characters', () => {
    expect(textForAgents(appError('call-denied', 'Tool write of dev.berth/files is denied.\u001b[31m'))).toBe(
      'Policy denies this call. Tool write of dev.berth/files is denied. [31m',
    );
  });
});
