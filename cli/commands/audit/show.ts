import { command } from '../../command.ts';
import { AppError } from '../../../protocol/errors.ts';

/** `berth audit show` */
export const auditShow = command({
  name: 'audit show',
  group: 'Look back',
  summary: 'One record of the audit log in full',
  arguments: { seq: { about: 'its number, from: berth audit ls' } },
  options: {},
  examples: ['berth audit show 17'],
  async run(context, { seq }) {
    if (!/^[1-9]\d{0,14}$/.test(seq)) {
      throw new AppError('usage-invalid', {
        detail: `${seq} is not the number of a record.`,
        hint: 'berth audit ls',
      });
    }
    const { adminApi } = await import('../../../hub/admin-api.ts');
    const entry = await context.hub(adminApi.auditRecord, { params: { seq: Number(seq) } });
    return { data: entry, text: `${entry.sentence}\n${JSON.stringify(entry.record, undefined, 2)}` };
  },
});
