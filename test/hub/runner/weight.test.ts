import { expect, it } from 'vitest';
import { weighing } from '../../../hub/runner/weight.ts';
import { manualClock } from '../../support/manual-clock.ts';
import { verifies } from '../../support/verifies.ts';

function rig() {
  const clock = manualClock();
  const weights: string[] = [];
  let calls = 0;
  const weight = weighing({ clock, inFlight: () => calls, weigh: (to) => void weights.push(to) });
  return {
    clock,
    weights,
    call() {
      calls += 1;
      weight.called();
    },
    end(how: 'answered' | 'failed') {
      calls -= 1;
      if (how === 'answered') weight.answered();
    },
  };
}

it('a skill that lets its calls wait counts less, until it answers one', verifies('sandbox.weight'), () => {
  const { clock, weights, call, end } = rig();
  call();
  clock.advance(499);
  expect(weights).toEqual(['background']);
  call();
  clock.advance(5_000);
  expect(weights).toEqual(['background']);
  end('failed');
  expect(weights).toEqual(['background']);
  end('answered');
  expect(weights).toEqual(['background', 'answering']);
});

it(
  'a skill that answers keeps its weight, however long single calls take',
  verifies('sandbox.weight'),
  () => {
    const { clock, weights, call, end } = rig();
    call();
    for (let n = 0; n < 100; n += 1) {
      call();
      clock.advance(100);
      end('answered');
    }
    expect(weights).toEqual([]);
  },
);

it('nobody is watched without a call', verifies('sandbox.weight'), () => {
  const { clock, weights, call, end } = rig();
  call();
  end('answered');
  clock.advance(10_000);
  expect([weights, clock.waiting()]).toEqual([[], 0]);
});
