import type { Result } from '@modelcontextprotocol/server';
import { describe, expect, it } from 'vitest';
import { createParkedCalls, type Round, type Work } from '../../../hub/mcp/parked.ts';
import { manualClock } from '../../support/manual-clock.ts';
import { verifies } from '../../support/verifies.ts';

const round = (more: Partial<Round> = {}): Round => ({
  binding: { user: 'ada', client: 'cli', request: 'one' },
  requestState: undefined,
  inputResponses: undefined,
  signal: new AbortController().signal,
  listener: { log: () => undefined },
  ...more,
});
const QUESTIONS = { q: { method: 'roots/list' as const, params: {} } };
const answered = ({ requestState }: Result): Round =>
  round({ requestState: requestState as string, inputResponses: { q: { roots: [] } } });

const parkedCalls = () =>
  createParkedCalls({ clock: manualClock(), answerTtlMs: 60_000, parkedPerClient: 4 });

describe('a call whose skill does not wait for the answer to its question', () => {
  it('has its result when the client comes back', verifies('mcp.asks-bound'), async () => {
    const calls = parkedCalls();
    const work: Work = async (ask) => {
      void ask(QUESTIONS);
      return { content: ['done'] };
    };
    const question = await calls.round(round(), work);
    expect(question).toMatchObject({ resultType: 'input_required', inputRequests: QUESTIONS });
    expect(await calls.round(answered(question), work)).toEqual({ content: ['done'] });
  });

  it('fails then, when it failed', verifies('mcp.asks-bound'), async () => {
    const calls = parkedCalls();
    const work: Work = async (ask) => {
      void ask(QUESTIONS);
      throw new Error('the skill broke');
    };
    const question = await calls.round(round(), work);
    await expect(calls.round(answered(question), work)).rejects.toThrow('the skill broke');
  });
});
