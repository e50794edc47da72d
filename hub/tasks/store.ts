import type { Kysely } from 'kysely';
import type { HubTables } from '../store/schema.ts';
import type { Ending, Owner, Task } from './task.ts';

/**
 * Tasks on disk. A row without an ending is a task whose call is, or was, being carried out; what it asks of its
 * client is not kept here, because a question lives no longer than the call that asks it.
 */
export interface TaskStore {
  add(task: Task): Promise<void>;
  end(task: Task): Promise<void>;
  find(id: string): Promise<Task | undefined>;
  remove(id: string): Promise<void>;
  removeOf(client: string): Promise<void>;
  removeExpired(now: number): Promise<void>;
  /** What is kept for an owner. */
  keptFor(owner: Owner): Promise<{ tasks: number; bytes: number }>;
  /** Tasks without an ending. */
  unfinished(): Promise<Task[]>;
}

type Row = HubTables['task'];

/** Tasks in the hub's database. */
export function sqliteTasks(db: Kysely<HubTables>): TaskStore {
  return {
    async add(task) {
      await db.insertInto('task').values(rowOf(task)).execute();
    },
    async end(task) {
      const { id, ...row } = rowOf(task);
      await db.updateTable('task').set(row).where('id', '=', id).execute();
    },
    async find(id) {
      const row = await db.selectFrom('task').selectAll().where('id', '=', id).executeTakeFirst();
      return row === undefined ? undefined : taskOf(row);
    },
    async remove(id) {
      await db.deleteFrom('task').where('id', '=', id).execute();
    },
    async removeOf(client) {
      await db.deleteFrom('task').where('client', '=', client).execute();
    },
    async removeExpired(now) {
      await db.deleteFrom('task').where('expires_at', '<=', now).execute();
    },
    async keptFor({ user, client }) {
      const { tasks, bytes } = await db
        .selectFrom('task')
        .select(({ fn }) => [fn.countAll<number>().as('tasks'), fn.sum<number | null>('bytes').as('bytes')])
        .where('client', '=', client)
        .where('user', '=', user)
        .executeTakeFirstOrThrow();
      return { tasks, bytes: bytes ?? 0 };
    },
    async unfinished() {
      const rows = await db.selectFrom('task').selectAll().where('ending_json', 'is', null).execute();
      return rows.map(taskOf);
    },
  };
}

function rowOf({ id, owner, tool, createdAt, updatedAt, ttlMs, state, message }: Task): Row {
  const ending = state.status === 'working' || state.status === 'input_required' ? null : state;
  const json = ending === null ? null : JSON.stringify(ending);
  return {
    id,
    user: owner.user,
    client: owner.client,
    tool,
    created_at: createdAt,
    updated_at: updatedAt,
    ttl_ms: ttlMs,
    expires_at: createdAt + ttlMs,
    ending_json: json,
    message: message ?? null,
    bytes: json === null ? 0 : Buffer.byteLength(json),
  };
}

function taskOf(row: Row): Task {
  return {
    id: row.id,
    owner: { user: row.user, client: row.client },
    tool: row.tool,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    ttlMs: row.ttl_ms,
    state: row.ending_json === null ? { status: 'working' } : (JSON.parse(row.ending_json) as Ending),
    message: row.message ?? undefined,
    rounds: 0,
  };
}
