import { join } from 'node:path';
import { sql } from 'kysely';
import { describe, expect, it, onTestFinished } from 'vitest';
import { openAuditLog } from '../../hub/audit/audit-log.ts';
import { openClients } from '../../hub/clients.ts';
import { hubMigrations } from '../../hub/store/migrations/migrations.ts';
import type { HubTables } from '../../hub/store/schema.ts';
import { openDatabase } from '../../protocol/node/database.ts';
import { createKey } from '../../protocol/node/keys.ts';
import { expectCode } from '../support/expect-code.ts';
import { manualClock } from '../support/manual-clock.ts';
import { tempFolder } from '../support/temp-folder.ts';
import { verifies } from '../support/verifies.ts';

async function rig() {
  const path = join(await tempFolder(), 'hub.db');
  const database = await openDatabase<HubTables>(path, { migrations: hubMigrations });
  const { query: db, close } = database;
  onTestFinished(close);
  const clock = manualClock();
  const audit = await openAuditLog({ database, key: createKey(), clock });
  const open = () => openClients({ db, audit, clock });
  return { db, clock, open, clients: await open() };
}

describe('a client', () => {
  it('cannot be named like the command line, which is the admin', verifies('clients.names'), async () => {
    const { clients } = await rig();
    await expectCode(clients.add('cli', undefined), 'client-exists');
  });

  it('added twice at once is one', async () => {
    const { clients } = await rig();
    const [one, two] = await Promise.allSettled([
      clients.add('agent', undefined),
      clients.add('agent', undefined),
    ]);
    expect([one?.status, two?.status].toSorted()).toEqual(['fulfilled', 'rejected']);
    await expectCode(clients.add('agent', undefined), 'client-exists');
    await expectCode(
      Promise.all([clients.add('other', undefined), clients.add('other', undefined)]),
      'client-exists',
    );
    expect(clients.list().map(({ name }) => name)).toEqual(['agent', 'other']);
  });

  it(
    'whose removal could not be written is refused at once, and can be removed for good later',
    verifies('clients.removal'),
    async () => {
      const { db, clients, open } = await rig();
      const { token } = await clients.add('agent', undefined);
      await sql`create trigger full before update on client begin select raise(abort, 'disk full'); end`.execute(
        db,
      );
      await expect(clients.remove('agent')).rejects.toThrow('disk full');
      await expectCode(() => clients.authenticate(token), 'not-signed-in');
      await sql`drop trigger full`.execute(db);
      await clients.remove('agent');
      await expectCode(async () => (await open()).authenticate(token), 'not-signed-in');
      await expectCode(clients.remove('agent'), 'client-not-found');
    },
  );

  it('with an expired token is refused from that moment on', verifies('mcp.token'), async () => {
    const { clients, clock } = await rig();
    const { token } = await clients.add('agent', 1);
    clock.advance(86_399_999);
    expect(clients.authenticate(token)).toMatchObject({ client: 'agent' });
    clock.advance(1);
    await expectCode(() => clients.authenticate(token), 'token-expired');
  });
});
