// What no governed call can do without: a record of the decision on disk before anything is forwarded, and one of its
// end, in the hub's own audit log.
import { randomUUID } from 'node:crypto';
import { openAuditLog } from '../../dist/hub/audit/audit-log.js';
import { systemClock } from '../../dist/hub/clock.js';
import { hubMigrations } from '../../dist/hub/store/migrations/migrations.js';
import { digestOfJson } from '../../dist/protocol/canonical.js';
import { openDatabase } from '../../dist/protocol/node/database.js';
import { createKey } from '../../dist/protocol/node/keys.js';

const SKILL = { skill: 'bench/echo', name: 'echo' };

/** Opens the log in a database of its own. */
export async function openRecorder(path) {
  const database = await openDatabase(path, { migrations: hubMigrations });
  const audit = await openAuditLog({ database, key: createKey(), clock: systemClock });
  return {
    /** Resolves with the id of the call once the decision is on disk. */
    async decided(given) {
      const call = `call_${randomUUID()}`;
      await audit.append({
        event: 'call.decided',
        call,
        principal: { user: 'bench', client: 'bench', agent: 'bench' },
        ...SKILL,
        version: '1.0.0',
        what: 'tool',
        argumentsDigest: digestOfJson(given),
        arguments: JSON.stringify(given),
        answer: 'allow',
        reasons: [{ rule: 'tool-allowed', text: 'an admin allowed this tool' }],
        grants: [],
      });
      return call;
    },
    finished(call, bytes) {
      void audit.note({ event: 'call.finished', call, ...SKILL, outcome: 'ok', durationMs: 1, bytes });
    },
  };
}
