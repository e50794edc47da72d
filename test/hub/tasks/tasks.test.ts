import { describe, expect, it } from 'vitest';
import type { Questions } from '../../../hub/questions.ts';
import type { Control, TaskCall } from '../../../hub/tasks/tasks.ts';
import type { Task } from '../../../hub/tasks/task.ts';
import { AppError } from '../../../protocol/errors.ts';
import { expectCode } from '../../support/expect-code.ts';
import { manualClock } from '../../support/manual-clock.ts';
import { verifies } from '../../support/verifies.ts';
import { tasksRig } from './rig.ts';

const ada = { user: 'ada', client: 'editor' };
const RESULT = { content: [{ type: 'text', text: 'done' }] };
const form = { method: 'elicitation/create', params: { message: 'Who?' } } as const;
const said = (n: number) => ({ action: 'accept', content: { n } });

function taskCall(more: Partial<TaskCall> = {}): TaskCall {
  return {
    owner: ada,
    tool: 'echo__wait',
    when: 'at-once',
    signal: AbortSignal.any([]),
    failed: (error) => ({ status: 'failed', error: { code: -32_000, message: (error as Error).message } }),
    ...more,
  };
}

/** A call that a test ends; a cancelled one ends by itself, as the runner's do. */
function work() {
  let resolve: (result: Record<string, unknown>) => void = () => undefined;
  let reject: (error: unknown) => void = () => undefined;
  const promise = new Promise<Record<string, unknown>>((yes, no) => ([resolve, reject] = [yes, no]));
  let tell: (control: Control) => void = () => undefined;
  const started = new Promise<Control>((yes) => (tell = yes));
  let calls = 0;
  return {
    resolve: () => resolve(RESULT),
    reject: (error: unknown) => reject(error),
    started,
    calls: () => calls,
    do(control: Control) {
      calls += 1;
      tell(control);
      control.signal.addEventListener('abort', () =>
        reject(new AppError('call-cancelled', { detail: 'cancelled' })),
      );
      return promise;
    },
  };
}

function taskOf(answer: { result: unknown } | { task: Task }): Task {
  if ('task' in answer) return answer.task;
  throw new Error('The call was answered with a result.');
}

/** Lets everything happen that only waits for promises and the database. */
async function becomes(get: () => Promise<Task>, status: Task['state']['status']): Promise<Task> {
  for (;;) {
    const task = await get();
    if (task.state.status === status) return task;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

describe('a call', () => {
  it('that ends in time is answered like any other, and leaves nothing', verifies('tasks.slow'), async () => {
    const clock = manualClock();
    const { tasks, rows, events } = await tasksRig({ clock });
    const job = work();
    const answer = tasks.run(taskCall({ when: 'when-slow' }), job.do);
    clock.advance(4_999);
    job.resolve();
    expect(await answer).toEqual({ result: RESULT });
    expect(await rows()).toEqual([]);
    expect(await events()).toEqual([]);
    expect(clock.waiting()).toBe(0);
  });

  it('that takes longer becomes a task, once', verifies('tasks.slow'), async () => {
    const clock = manualClock();
    const { tasks, events } = await tasksRig({ clock });
    const job = work();
    const answer = tasks.run(taskCall({ when: 'when-slow' }), job.do);
    await job.started;
    clock.advance(5_000);
    const task = taskOf(await answer);
    expect(task.state).toEqual({ status: 'working' });
    job.resolve();
    const done = await becomes(() => tasks.get(ada, task.id), 'completed');
    expect(done.state).toEqual({ status: 'completed', result: RESULT });
    expect(job.calls()).toBe(1);
    expect(await events()).toMatchObject([
      { event: 'task.created', task: task.id, ...ada, tool: 'echo__wait' },
    ]);
  });

  it(
    'goes on after its request has ended, but not if there was no task yet',
    verifies('tasks.slow'),
    async () => {
      const clock = manualClock();
      const { tasks } = await tasksRig({ clock });
      for (const isTask of [true, false]) {
        const request = new AbortController();
        const job = work();
        const answer = tasks.run(taskCall({ when: 'when-slow', signal: request.signal }), job.do);
        const { signal } = await job.started;
        if (isTask) {
          clock.advance(5_000);
          await answer;
        }
        request.abort();
        expect(signal.aborted).toBe(!isTask);
        if (isTask) job.resolve();
        else await expectCode(answer, 'call-cancelled');
      }
    },
  );

  it('that fails before it is a task fails like any other', verifies('tasks.slow'), async () => {
    const { tasks, rows } = await tasksRig();
    const failing = () => Promise.reject(new AppError('call-denied', { detail: 'no' }));
    await expectCode(tasks.run(taskCall({ when: 'when-slow' }), failing), 'call-denied');
    expect(await rows()).toEqual([]);
  });

  it('is on disk as a task before its client hears of it', verifies('tasks.durable'), async () => {
    const { tasks, rows } = await tasksRig();
    const job = work();
    const { id } = taskOf(await tasks.run(taskCall(), job.do));
    expect(await rows()).toMatchObject([{ id, ending_json: null }]);
    job.reject(new AppError('skill-error', { detail: 'broken' }));
    const { state, message } = await becomes(() => tasks.get(ada, id), 'failed');
    expect(state).toMatchObject({ error: { code: -32_000, message: 'broken' } });
    expect(message).toBe('broken');
  });

  it('says how far it is, as the status message of its task', verifies('tasks.durable'), async () => {
    const { tasks } = await tasksRig();
    const job = work();
    const { id } = taskOf(await tasks.run(taskCall(), job.do));
    (await job.started).onProgress({ progress: 1, message: '1 of 2' });
    expect(await tasks.get(ada, id)).toMatchObject({ message: '1 of 2', state: { status: 'working' } });
    job.resolve();
  });
});

describe('a question in the middle of a call', () => {
  it('is put by the task, which goes on with the answers', verifies('tasks.input'), async () => {
    const { tasks } = await tasksRig();
    const answer = tasks.run(taskCall({ when: 'when-slow' }), async ({ ask }) => ({
      answers: await ask({ who: form, why: form }),
    }));
    const { id, state } = taskOf(await answer);
    expect(state.status).toBe('input_required');
    await tasks.update(ada, id, { who: said(0) });
    const waiting = await tasks.get(ada, id);
    const [who = '', why = ''] = Object.keys((waiting.state as { inputRequests: object }).inputRequests);
    await tasks.update(ada, id, { [who]: said(1), unknown: said(9) });
    expect((await tasks.get(ada, id)).state).toEqual({
      status: 'input_required',
      inputRequests: { [why]: form },
    });
    await tasks.update(ada, id, { [who]: said(3), [why]: said(2) });
    const { state: last } = await becomes(() => tasks.get(ada, id), 'completed');
    expect(last).toMatchObject({ result: { answers: { who: said(1), why: said(2) } } });
  });

  it('takes one of two answers that come at once', verifies('tasks.input'), async () => {
    const { tasks } = await tasksRig();
    const got: unknown[] = [];
    const { id } = taskOf(
      await tasks.run(taskCall({ when: 'when-slow' }), async ({ ask }) => {
        got.push(await ask({ who: form }));
        return RESULT;
      }),
    );
    const key = '1.who';
    await Promise.all([tasks.update(ada, id, { [key]: said(1) }), tasks.update(ada, id, { [key]: said(2) })]);
    await becomes(() => tasks.get(ada, id), 'completed');
    expect(got).toEqual([{ who: said(1) }]);
  });

  it('is not answered by something of another kind', verifies('tasks.input'), async () => {
    const { tasks } = await tasksRig();
    const { id } = taskOf(await tasks.run(taskCall(), async ({ ask }) => ask({ who: form })));
    await expectCode(tasks.update(ada, id, { '1.who': { action: 'perhaps' } }), 'request-invalid');
    expect((await tasks.get(ada, id)).state.status).toBe('input_required');
    await tasks.update(ada, id, { '1.who': said(1) });
    await becomes(() => tasks.get(ada, id), 'completed');
  });

  it('can be one of several, each with its own asker', verifies('tasks.input'), async () => {
    const { tasks } = await tasksRig();
    const { id } = taskOf(
      await tasks.run(taskCall(), async ({ ask }) => ({
        all: await Promise.all([ask({ who: form }), ask({ who: form })]),
      })),
    );
    await tasks.update(ada, id, { '2.who': said(2) });
    await tasks.update(ada, id, { '1.who': said(1) });
    const { state } = await becomes(() => tasks.get(ada, id), 'completed');
    expect(state).toMatchObject({ result: { all: [{ who: said(1) }, { who: said(2) }] } });
  });

  it('ends with the task, when that is cancelled', verifies('tasks.input', 'tasks.cancel'), async () => {
    const { tasks } = await tasksRig();
    const { id } = taskOf(
      await tasks.run(taskCall({ when: 'when-slow' }), async ({ ask }) => ask({ who: form })),
    );
    await tasks.cancel(ada, id);
    await becomes(() => tasks.get(ada, id), 'cancelled');
  });
});

describe('a question before there is a task', () => {
  it('is put in the request, whose client has its own time to answer', verifies('tasks.first'), async () => {
    const clock = manualClock();
    const { tasks, rows } = await tasksRig({ clock });
    const asked: Questions[] = [];
    const waiting: number[] = [];
    const ask = async (questions: Questions) => {
      asked.push(questions);
      waiting.push(clock.waiting());
      return { who: said(asked.length) };
    };
    const answer = await tasks.run(taskCall({ when: 'when-slow', ask }), async (control) => ({
      all: await Promise.all([control.ask({ who: form }), control.ask({ who: form })]),
    }));
    expect(answer).toEqual({ result: { all: [{ who: said(1) }, { who: said(2) }] } });
    expect(asked).toEqual([{ who: form }, { who: form }]);
    expect(waiting).toEqual([0, 0]);
    expect(clock.waiting()).toBe(0);
    expect(await rows()).toEqual([]);
  });

  it('is put in the request as well where there can be no task', verifies('tasks.first'), async () => {
    const clock = manualClock();
    const { tasks } = await tasksRig({ clock, limits: { openPerClient: 0 } });
    const ask = async () => ({ who: said(1) });
    const slow = async (control: Control) => {
      clock.advance(5_000);
      return control.ask({ who: form });
    };
    for (const when of ['when-slow', 'if-possible'] as const) {
      const answer = await tasks.run(taskCall({ when, ask }), slow);
      expect(answer).toEqual({ result: { who: said(1) } });
    }
  });
});

describe('a cancelled task', () => {
  it('stops its call, is on record, and ends once', verifies('tasks.cancel'), async () => {
    const { tasks, events } = await tasksRig();
    const job = work();
    const { id } = taskOf(await tasks.run(taskCall(), job.do));
    await Promise.all([tasks.cancel(ada, id), tasks.cancel(ada, id)]);
    expect((await job.started).signal.aborted).toBe(true);
    await becomes(() => tasks.get(ada, id), 'cancelled');
    await tasks.cancel(ada, id);
    expect((await events()).map(({ event }) => event)).toEqual(['task.created', 'task.cancelled']);
  });

  it('that was done already says so', verifies('tasks.cancel'), async () => {
    const { tasks } = await tasksRig();
    const job = work();
    const { id } = taskOf(await tasks.run(taskCall(), job.do));
    job.resolve();
    await tasks.cancel(ada, id);
    expect((await becomes(() => tasks.get(ada, id), 'completed')).state).toMatchObject({ result: RESULT });
  });
});

describe('a task of somebody else', () => {
  it('is answered like one that never was', verifies('tasks.owner'), async () => {
    const { tasks } = await tasksRig();
    const job = work();
    const { id } = taskOf(await tasks.run(taskCall(), job.do));
    const strangers = [
      { user: 'bob', client: 'editor' },
      { user: 'ada', client: 'other' },
    ];
    for (const stranger of strangers) {
      for (const asked of [id, 'task_of-nobody']) {
        await expectCode(tasks.get(stranger, asked), 'task-not-found');
        await expectCode(tasks.update(stranger, asked, {}), 'task-not-found');
        await expectCode(tasks.cancel(stranger, asked), 'task-not-found');
      }
    }
    expect((await job.started).signal.aborted).toBe(false);
    job.resolve();
    await becomes(() => tasks.get(ada, id), 'completed');
    await expectCode(tasks.get({ user: 'bob', client: 'editor' }, id), 'task-not-found');
  });

  it('has an id of its own that nobody can guess', verifies('tasks.owner'), async () => {
    const { tasks } = await tasksRig();
    const ids = await Promise.all(
      Array.from({ length: 20 }, async () => taskOf(await tasks.run(taskCall(), async () => RESULT)).id),
    );
    expect(new Set(ids).size).toBe(20);
    for (const id of ids) expect(id).toMatch(/^task_[\w-]{32}$/);
  });
});

describe.each(['stopped', 'killed'])('after the hub was %s', (how) => {
  it(
    'what went on has an unknown outcome, and what was done is still there',
    verifies('tasks.restart'),
    async () => {
      const { tasks, reopen } = await tasksRig();
      const done = taskOf(await tasks.run(taskCall(), async () => RESULT));
      await becomes(() => tasks.get(ada, done.id), 'completed');
      const job = work();
      const cut = taskOf(await tasks.run(taskCall(), job.do));
      if (how === 'stopped') await tasks.close();
      const next = await reopen();
      expect((await next.get(ada, done.id)).state).toEqual({ status: 'completed', result: RESULT });
      const { state, message } = await next.get(ada, cut.id);
      expect(state).toMatchObject({ status: 'failed', error: { code: -32_603 } });
      expect(message).toContain('Outcome unknown');
      expect(job.calls()).toBe(1);
      await expectCode(next.get({ user: 'bob', client: 'editor' }, cut.id), 'task-not-found');
    },
  );
});

describe('the bounds of tasks', () => {
  it('let a task expire when its time is over, and stop what it does', verifies('tasks.expire'), async () => {
    const clock = manualClock();
    const { tasks, rows } = await tasksRig({ clock, limits: { ttlMs: 1_000 } });
    const job = work();
    const going = taskOf(await tasks.run(taskCall(), job.do));
    const done = taskOf(await tasks.run(taskCall(), async () => RESULT));
    await becomes(() => tasks.get(ada, done.id), 'completed');
    clock.advance(999);
    await tasks.get(ada, going.id);
    await tasks.get(ada, done.id);
    clock.advance(1);
    await expectCode(tasks.get(ada, going.id), 'task-not-found');
    await expectCode(tasks.get(ada, done.id), 'task-not-found');
    expect((await job.started).signal.aborted).toBe(true);
    expect(await rows()).toEqual([]);
  });

  it('forget expired tasks at the start', verifies('tasks.expire'), async () => {
    const clock = manualClock();
    const { tasks, rows, reopen } = await tasksRig({ clock, limits: { ttlMs: 1_000 } });
    const { id } = taskOf(await tasks.run(taskCall(), async () => RESULT));
    await becomes(() => tasks.get(ada, id), 'completed');
    clock.advance(1_000);
    await reopen();
    expect(await rows()).toEqual([]);
  });

  it('leave a client with too many tasks to plain calls', verifies('tasks.bounded'), async () => {
    const { tasks } = await tasksRig({ limits: { openPerClient: 1 } });
    const job = work();
    await tasks.run(taskCall(), job.do);
    await expectCode(
      tasks.run(taskCall(), async () => RESULT),
      'rate-limited',
    );
    expect(await tasks.run(taskCall({ when: 'if-possible' }), async () => RESULT)).toEqual({
      result: RESULT,
    });
    const bob = { user: 'bob', client: 'editor-of-bob' };
    expect(await tasks.run(taskCall({ owner: bob }), async () => RESULT)).toHaveProperty('task');
    job.resolve();
  });

  it('count calls that begin at the same time', verifies('tasks.bounded'), async () => {
    const { tasks } = await tasksRig({ limits: { tasksPerClient: 3 } });
    const all = await Promise.allSettled(
      Array.from({ length: 10 }, () => tasks.run(taskCall(), async () => RESULT)),
    );
    expect(all.filter(({ status }) => status === 'fulfilled')).toHaveLength(3);
  });

  it('count the bytes that are kept', verifies('tasks.bounded'), async () => {
    const { tasks } = await tasksRig({ limits: { bytesPerClient: 100 } });
    const { id } = taskOf(await tasks.run(taskCall(), async () => ({ text: 'x'.repeat(200) })));
    await becomes(() => tasks.get(ada, id), 'completed');
    await expectCode(
      tasks.run(taskCall(), async () => RESULT),
      'rate-limited',
    );
  });
});

it('a client that is removed leaves no tasks for one of the same name', verifies('tasks.owner'), async () => {
  const { tasks, rows } = await tasksRig();
  const job = work();
  const { id } = taskOf(await tasks.run(taskCall(), job.do));
  taskOf(await tasks.run(taskCall(), async () => RESULT));
  await tasks.end('editor');
  expect((await job.started).signal.aborted).toBe(true);
  expect(await rows()).toEqual([]);
  await expectCode(tasks.get(ada, id), 'task-not-found');
});

it('an ending that cannot be written is told from memory', verifies('tasks.durable'), async () => {
  const { tasks, db } = await tasksRig();
  const job = work();
  const { id } = taskOf(await tasks.run(taskCall(), job.do));
  await db.schema.alterTable('task').renameTo('elsewhere').execute();
  job.resolve();
  expect((await becomes(() => tasks.get(ada, id), 'completed')).state).toMatchObject({ result: RESULT });
});
