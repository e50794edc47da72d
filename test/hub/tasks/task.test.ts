import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  answering,
  asking,
  begun,
  type Ending,
  ended,
  hasEnded,
  hasExpired,
  isOwnedBy,
  saying,
  type Task,
} from '../../../hub/tasks/task.ts';
import { verifies } from '../../support/verifies.ts';

const owner = { user: 'ada', client: 'editor' };
const start = begun({ id: 'task_1', owner, tool: 'echo__wait', ttlMs: 1_000 }, 0);
const question = { method: 'elicitation/create', params: { message: 'Who?' } } as const;
const completed: Ending = { status: 'completed', result: { content: [] } };

const endings = fc.constantFrom<Ending>(
  completed,
  { status: 'failed', error: { code: -32_603, message: 'no' } },
  { status: 'cancelled' },
);
const steps = fc.oneof(
  fc.constant((task: Task, now: number) => asking(task, { who: question, why: question }, now).task),
  fc
    .subarray(['1.who', '1.why', '2.who', '2.why', '3.who', 'who', '__proto__', ''])
    .map(
      (keys) => (task: Task, now: number) =>
        answering(task, Object.fromEntries(keys.map((key) => [key, {}])), now).task,
    ),
  fc.string().map((message) => (task: Task, now: number) => saying(task, message, now)),
  endings.map((ending) => (task: Task, now: number) => ended(task, { ending, keepMs: 1_000 }, now)),
);

describe('a task', () => {
  it('never changes again once it has ended', verifies('tasks.states'), () => {
    fc.assert(
      fc.property(endings, fc.array(steps), (ending, path) => {
        const done = ended(start, { ending, keepMs: 1_000 }, 5);
        expect(path.reduce((task, step, n) => step(task, 10 + n), done)).toEqual(done);
      }),
    );
  });

  it('asks for input exactly while a question is open', verifies('tasks.states'), () => {
    fc.assert(
      fc.property(fc.array(steps), (path) => {
        let task = start;
        for (const [n, step] of path.entries()) {
          task = step(task, n);
          const open = task.state.status === 'input_required' ? Object.keys(task.state.inputRequests) : [];
          if (!hasEnded(task)) expect(task.state.status === 'input_required').toBe(open.length > 0);
        }
      }),
    );
  });

  it('uses no key twice, also when the same is asked again', verifies('tasks.states'), () => {
    const first = asking(start, { who: question }, 1);
    const key = first.keys.get('who') ?? '';
    const answered = answering(first.task, { [key]: { action: 'accept' } }, 2);
    expect(answered.task.state).toEqual({ status: 'working' });
    const second = asking(answered.task, { who: question }, 3);
    expect(second.keys.get('who')).not.toBe(key);
  });

  it('takes answers to open questions only, once', verifies('tasks.states'), () => {
    const { task, keys } = asking(start, { who: question, why: question }, 1);
    const [who = '', why = ''] = keys.values();
    const some = answering(task, { [who]: { n: 1 }, other: {}, constructor: {} }, 2);
    expect(some.taken).toEqual({ [who]: { n: 1 } });
    expect(some.task.state).toEqual({ status: 'input_required', inputRequests: { [why]: question } });
    const again = answering(some.task, { [who]: { n: 2 } }, 3);
    expect(again.taken).toEqual({});
    expect(again.task).toBe(some.task);
  });

  it('is kept for its time from its end, and is of one user and client', verifies('tasks.expire'), () => {
    expect(hasExpired(start, 999)).toBe(false);
    expect(hasExpired(start, 1_000)).toBe(true);
    const done = ended(start, { ending: completed, keepMs: 1_000 }, 900);
    expect(hasExpired(done, 1_899)).toBe(false);
    expect(hasExpired(done, 1_900)).toBe(true);
    expect(isOwnedBy(start, owner)).toBe(true);
    expect(isOwnedBy(start, { ...owner, user: 'bob' })).toBe(false);
    expect(isOwnedBy(start, { ...owner, client: 'other' })).toBe(false);
  });
});
