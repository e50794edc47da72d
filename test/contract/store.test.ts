import { join } from 'node:path';
import { describe, onTestFinished } from 'vitest';
import { openDatabase } from '../../protocol/node/database.ts';
import { registryMigration } from '../../registry/store/migrations/0001-registry.ts';
import { textSearchMigration } from '../../registry/store/migrations/0002-text-search.ts';
import type { Tables } from '../../registry/store/schema.ts';
import { sqlStore } from '../../registry/store/sql.ts';
import { fts5Index } from '../../registry/store/sqlite.ts';
import { tempFolder } from '../support/temp-folder.ts';
import { storeContract } from './store.ts';

describe('the store on SQLite', () => {
  storeContract(async () => {
    const migrations = [registryMigration, textSearchMigration];
    const database = await openDatabase<Tables>(join(await tempFolder(), 'registry.db'), { migrations });
    const store = sqlStore(database, fts5Index);
    onTestFinished(() => store.close());
    return store;
  });
});
