import { command } from '../command.ts';
import { ago, columns } from '../output.ts';
import { inPlace } from '../skill-text.ts';

/** `berth inbox` */
export const inbox = command({
  name: 'inbox',
  group: 'Decide',
  summary: 'What waits for your decision',
  arguments: {},
  options: {},
  examples: ['berth inbox', 'berth inbox --json'],
  async run(context) {
    const { adminApi } = await import('../../hub/admin-api.ts');
    const waiting = await context.hub(adminApi.approvals, {});
    const now = Date.now();
    const rows = waiting.map(({ id, kind, skill, version, widened, createdAt }) => [
      id,
      kind,
      `${skill}@${version}`,
      inPlace(widened[0] ?? ''),
      ago(createdAt, now),
    ]);
    return {
      data: waiting,
      text: rows.length === 0 ? '' : columns(context, ['ID', 'WHAT', 'SKILL', 'NEW', 'SINCE'], rows),
      notes:
        rows.length === 0
          ? ['Nothing waits for a decision.']
          : waiting.flatMap(({ id, unverified }) => unverified.map((sentence) => `${id}: ${sentence}`)),
      next: waiting.slice(0, 1).flatMap(({ id }) => [`berth approve ${id}`, `berth deny ${id}`]),
    };
  },
});
