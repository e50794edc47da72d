import { command } from '../command.ts';

/** `berth doctor` */
export const doctor = command({
  name: 'doctor',
  group: 'Start here',
  summary: 'Check this machine, the sandbox, the home and the servers',
  arguments: {},
  options: {},
  examples: ['berth doctor', 'berth doctor --json'],
  async run(context) {
    const { examine } = await import('../doctor.ts');
    const findings = await examine(context);
    const { paint } = context;
    const marks = { ok: paint.good('ok  '), note: paint.warn('note'), bad: paint.bad('bad ') };
    return {
      data: { findings },
      text: findings
        .flatMap(({ what, state, detail, fix }) => [
          `${marks[state]}  ${what.padEnd(9)} ${detail}`,
          ...(fix === undefined ? [] : [`                fix: ${fix}`]),
        ])
        .join('\n'),
      exit: findings.some(({ state }) => state === 'bad') ? 1 : 0,
    };
  },
});
