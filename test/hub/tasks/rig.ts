import { randomBytes } from 'node:crypto';
import { onTestFinished } from 'vitest';
import { openAuditLog } from '../../../hub/audit/audit-log.ts';
import { auditEntries } from '../../../hub/audit/stored-audit.ts';
import { type Clock, systemClock } from '../../../hub/clock.ts';
import { hubMigrations } from '../../../hub/store/migrations/migrations.ts';
import type { HubTables } from '../../../hub/store/schema.ts';
import { openTasks, type TaskLimits } from '../../../hub/tasks/tasks.ts';
import { openDatabase } from '../../../protocol/node/database.ts';
import { createKey } from '../../../protocol/node/keys.ts';
import { createLogger } from '../../../protocol/node/logger.ts';

const key = createKey();

/** Tasks over a real database and audit log. */
export async function tasksRig({
  clock = systemClock,
  limits = {},
  path = ':memory:',
}: { clock?: Clock; limits?: Partial<TaskLimits>; path?: string } = {}) {
  const database = await openDatabase<HubTables>(path, { migrations: hubMigrations });
  const { query: db } = database;
  const audit = await openAuditLog({ database, key, clock });
  const open = () =>
    openTasks({
      db,
      audit,
      clock,
      newTaskId: () => `task_${randomBytes(24).toString('base64url')}`,
      log: createLogger({ level: 'silent', name: 'test' }),
      limits,
    });
  const tasks = await open();
  onTestFinished(() => database.close());
  return {
    tasks,
    db,
    /** As the next run of the hub would find them. */
    reopen: open,
    rows: () => db.selectFrom('task').selectAll().execute(),
    events: async () => (await auditEntries(db, {})).toReversed().map(({ record }) => record),
  };
}
