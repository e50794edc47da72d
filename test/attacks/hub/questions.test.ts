import { beforeAll, describe, expect, it } from 'vitest';
import { askingCall, endpointRig, type Surfaces } from '../../hub/mcp/rig.ts';
import { textOf } from '../../hub/runner/rig.ts';
import { capture } from '../../support/fixture-skills.ts';
import { manualClock } from '../../support/manual-clock.ts';
import { verifies } from '../../support/verifies.ts';

const FIXTURES = { modern: 'modern-asks', legacy: 'legacy-asks' } as const;
const WHOM = { name: 'legacy__whom', arguments: { tag: 'x' } };
/** JSON-RPC 2.0 §5.1, invalid params: what every state is answered with that is not one that waits. */
const REFUSED = { error: { code: -32_602 } };

let surfaces: Surfaces;
beforeAll(async () => {
  const [modern, legacy] = await Promise.all([capture('modern-asks'), capture('legacy-asks')]);
  surfaces = { modern, legacy };
});

/** A call of ada's that waits, and how she would go on with it. */
async function waiting({ clock = manualClock() } = {}) {
  const rig = await endpointRig(surfaces, { fixtures: FIXTURES, clock });
  const { result } = await askingCall(rig, WHOM);
  expect(result).toMatchObject({ resultType: 'input_required' });
  const [key = ''] = Object.keys(result.inputRequests);
  const requestState = String(result.requestState);
  const answer = { action: 'accept', content: { name: 'eve' } };
  const goOn = { ...WHOM, inputResponses: { [key]: answer }, requestState };
  return { rig, clock, requestState, goOn, send: askingCall.bind(undefined, rig) };
}

/** Whatever was tried, the call still waits for its own client, and for its own answer. */
async function stillWaits({ send, goOn }: Awaited<ReturnType<typeof waiting>>): Promise<void> {
  expect(textOf((await send(goOn))['result'])).toBe('accept eve asked x');
}

describe('whoever has the state of a call that waits for an answer', () => {
  it('cannot go on with it twice', verifies('mcp.asks-bound'), async () => {
    const call = await waiting();
    await stillWaits(call);
    expect(await call.send(call.goOn)).toMatchObject(REFUSED);
  });

  it('cannot go on with it twice by sending it twice at once', verifies('mcp.asks-bound'), async () => {
    const { send, goOn } = await waiting();
    const all = await Promise.all(Array.from({ length: 8 }, () => send(goOn)));
    expect(all.filter(({ result }) => result !== undefined)).toHaveLength(1);
    for (const { error } of all.filter(({ result }) => result === undefined))
      expect(error).toMatchObject(REFUSED.error);
  });

  it.each([
    ['another user', { authorization: 'Bearer token-of-bob' }],
    ['another client of the same user', { authorization: 'Bearer token-of-ada-too' }],
  ])('cannot go on with it as %s', verifies('mcp.asks-bound'), async (_who, headers) => {
    const call = await waiting();
    expect(await call.send(call.goOn, headers)).toMatchObject(REFUSED);
    await stillWaits(call);
  });

  it.each([
    ['other arguments', { arguments: { tag: 'y' } }],
    ['more arguments', { arguments: { tag: 'x', more: 1 } }],
    ['another tool', { name: 'modern__whom' }],
  ])('cannot make it a call with %s', verifies('mcp.asks-bound'), async (_what, changed) => {
    const call = await waiting();
    expect(await call.send({ ...call.goOn, ...changed })).toMatchObject(REFUSED);
    await stillWaits(call);
  });

  it('cannot alter it in any place', verifies('mcp.asks-bound'), async () => {
    const call = await waiting();
    const { requestState } = call;
    for (let at = 0; at < requestState.length; at += 7) {
      const other = requestState[at] === 'A' ? 'B' : 'A';
      const altered = `${requestState.slice(0, at)}${other}${requestState.slice(at + 1)}`;
      expect(await call.send({ ...call.goOn, requestState: altered }), String(at)).toMatchObject(REFUSED);
    }
    for (const altered of ['', 'x', requestState.slice(0, 20), `${requestState}=`, requestState.repeat(50)])
      expect(await call.send({ ...call.goOn, requestState: altered })).toMatchObject(REFUSED);
    await stillWaits(call);
  });

  it('cannot use it when its time is over', verifies('mcp.asks-bound'), async () => {
    const { clock, send, goOn } = await waiting();
    clock.advance(11 * 60_000);
    expect(await send(goOn)).toMatchObject(REFUSED);
  });

  it('cannot use it at another hub, or at this one after a restart', verifies('mcp.asks-bound'), async () => {
    const { goOn } = await waiting();
    const other = await waiting();
    expect(await other.send(goOn)).toMatchObject(REFUSED);
    await stillWaits(other);
  });

  it('cannot use it once its client was removed', verifies('mcp.asks-bound'), async () => {
    const { rig, send, goOn } = await waiting();
    await rig.endpoint.end('editor');
    expect(await send(goOn)).toMatchObject(REFUSED);
  });

  it('cannot put something else in place of an answer', verifies('mcp.asks-bound'), async () => {
    const { send, goOn } = await waiting();
    let { requestState } = goOn;
    for (const inputResponses of [
      {},
      { other: { action: 'accept', content: { name: 'eve' } } },
      JSON.parse('{"__proto__": {"action": "accept", "content": {"name": "eve"}}}') as object,
      Object.fromEntries(Object.keys(goOn.inputResponses).map((key) => [key, { action: 'perhaps' }])),
      Object.fromEntries(Object.keys(goOn.inputResponses).map((key) => [key, { roots: [] }])),
    ]) {
      const { result } = await send({ ...goOn, inputResponses, requestState });
      // Asked again, under a state of its own.
      expect(result, JSON.stringify(inputResponses)).toMatchObject({ resultType: 'input_required' });
      ({ requestState } = result as { requestState: string });
    }
    expect(textOf((await send({ ...goOn, requestState }))['result'])).toBe('accept eve asked x');
  });
});
