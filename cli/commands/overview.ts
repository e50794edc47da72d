import { command } from '../command.ts';
import { count } from '../output.ts';
import { AppError } from '../../protocol/errors.ts';

/** Bare `berth`: how things are, and what to do next. */
export const overview = command({
  name: '',
  group: 'Start here',
  summary: 'How things are, and the next thing to decide',
  arguments: {},
  options: {},
  examples: ['berth', 'berth --json'],
  async run(context) {
    const { adminApi } = await import('../../hub/admin-api.ts');
    const { paint } = context;
    const status = await context.hub(adminApi.status, {}).catch((error: unknown) => {
      if (error instanceof AppError && error.code === 'not-running') return undefined;
      throw error;
    });
    if (status === undefined) {
      return {
        data: { running: false, next: ['berth up'] },
        text: `Berth is ${paint.warn('not running')} in ${context.home}.`,
        next: ['berth up', 'berth --help'],
      };
    }
    const [first] = status.waiting;
    const troubled = status.skills.blocked + status.skills.quarantined;
    const next =
      first !== undefined
        ? [`berth approve ${first.id}`, `berth deny ${first.id}`]
        : !status.sandbox.usable
          ? ['berth doctor']
          : status.skills.ready === 0
            ? ['berth search', 'berth info dev.berth/files']
            : status.clients === 0
              ? ['berth clients add NAME']
              : ['berth list', 'berth audit ls'];
    const health = [
      status.sandbox.usable ? undefined : `no usable sandbox: ${status.sandbox.problem?.detail ?? ''}`,
      status.unsandboxed.length === 0
        ? undefined
        : `without a sandbox: ${status.unsandboxed.join(', ')} (berth grants)`,
      troubled === 0
        ? undefined
        : `${troubled} of ${troubled + status.skills.ready} skills do not serve (berth list)`,
    ].filter((problem) => problem !== undefined);
    return {
      data: { running: true, status, next },
      text: [
        `Berth is ${paint.good('running')}: ${status.mcp}, ${count(status.skills.ready, 'skill')} ready, ${count(status.clients, 'client')}.`,
        ...health.map((problem) => `${paint.bad('!')} ${problem}`),
        ...(first === undefined
          ? ['Nothing waits for a decision.']
          : [`${paint.warn('Waiting:')} ${first.sentence}`]),
      ].join('\n'),
      next,
    };
  },
});
