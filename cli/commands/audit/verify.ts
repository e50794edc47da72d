import { command } from '../../command.ts';
import { count } from '../../output.ts';
import { AppError } from '../../../protocol/errors.ts';
import { hubDir } from '../../home.ts';

/** A long log takes its time. */
const VERIFY_TIMEOUT_MS = 10 * 60_000;

/** `berth audit verify` */
export const auditVerify = command({
  name: 'audit verify',
  group: 'Look back',
  summary: 'Check that no audit record was changed, removed, moved or slipped in',
  arguments: {},
  options: {},
  examples: ['berth audit verify', 'berth audit verify --json'],
  async run(context) {
    const { adminApi } = await import('../../../hub/admin-api.ts');
    const verdict = await context
      .hub(adminApi.verifyAudit, { timeoutMs: VERIFY_TIMEOUT_MS })
      .catch(async (error: unknown) => {
        // Without a hub the files speak for themselves; a hub named by flag is not this home's.
        if (
          !(error instanceof AppError) ||
          error.code !== 'not-running' ||
          context.settings.hub !== undefined
        )
          throw error;
        const { verifyAuditOf } = await import('../../../hub/audit/verify.ts');
        return verifyAuditOf(hubDir(context.home));
      });
    return {
      data: verdict,
      text: `${context.paint.good('ok')} ${count(verdict.records, 'record')}, unbroken\nhead ${verdict.head}`,
    };
  },
});
