import { command } from '../../command.ts';
import { clockTime, columns } from '../../output.ts';

/** `berth audit ls` */
export const auditLs = command({
  name: 'audit ls',
  aliases: ['list'],
  group: 'Look back',
  groupSummary: 'What the hub decided and did',
  summary: 'What the hub decided and did, newest first',
  arguments: {},
  options: {
    limit: { type: 'number', min: 1, max: 1000, value: 'N', about: 'at most so many (50)' },
    before: { type: 'number', min: 1, max: 999_999_999, value: 'SEQ', about: 'only records before this one' },
    skill: { type: 'text', value: 'NAME', about: 'only this skill' },
    event: { type: 'text', value: 'EVENT', about: 'only this kind, such as call or grant.revoked' },
  },
  examples: ['berth audit ls', 'berth audit ls --skill dev.berth/files --event call --limit 10'],
  async run(context, query) {
    const { adminApi } = await import('../../../hub/admin-api.ts');
    const given = Object.fromEntries(Object.entries(query).filter(([, value]) => value !== undefined));
    const entries = await context.hub(adminApi.audit, { query: given });
    const now = Date.now();
    const rows = entries.map(({ seq, time, sentence }) => [
      String(seq),
      context.terminal ? clockTime(time, now) : time,
      sentence,
    ]);
    return {
      data: entries,
      text: rows.length === 0 ? '' : columns(context, ['SEQ', 'TIME', 'WHAT'], rows, context),
      notes: rows.length === 0 ? ['No record fits.'] : [],
      next: context.terminal ? entries.slice(0, 1).map(({ seq }) => `berth audit show ${seq}`) : [],
    };
  },
});
