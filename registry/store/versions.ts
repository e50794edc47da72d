import { sql, type Kysely } from 'kysely';
import { canonicalJson, type Digest } from '../../protocol/canonical.ts';
import { atoms } from '../../protocol/permissions.ts';
import { compareVersions } from '../../protocol/version.ts';
import { AppError } from '../../protocol/errors.ts';
import { shownRow, summaryRow, versionRow } from './rows.ts';
import type { Tables } from './schema.ts';
import type { Change, Questions, ServerQuery, ServerRow, Store } from './store.ts';
import type { TextIndex } from './sqlite.ts';

const SUMMARY = [
  'version.version',
  'version.digest',
  'version.size',
  'version.signer',
  'version.permissions_digest as permissionsDigest',
  'version.published_at as publishedAt',
  'version_standing.yanked',
  'version_standing.yank_reason as yankReason',
  'version_standing.deprecated',
  'version_standing.changed_at as changedAt',
] as const;

const SHOWN = [
  ...SUMMARY,
  'skill.name',
  'version.kind',
  'version.manifest',
  'version.tools',
  'version.surface_digest as surfaceDigest',
  'version.permissions',
] as const;

const WHOLE = [...SHOWN, 'version.bundle', 'version.receipt'] as const;

function versions(query: Kysely<Tables>) {
  return query
    .selectFrom('version')
    .innerJoin('skill', 'skill.id', 'version.skill_id')
    .innerJoin('version_standing', 'version_standing.version_id', 'version.id');
}

/** What can be asked about versions. */
export function versionQuestions(query: Kysely<Tables>): Pick<Questions, 'version' | 'versionsOf' | 'skill'> {
  const one = (name: string, number: string) =>
    versions(query).where('skill.name', '=', name).where('version.version', '=', number);
  const versionsOf = async (name: string) => {
    const rows = await versions(query).select(SUMMARY).where('skill.name', '=', name).execute();
    return rows.map((row) => summaryRow.parse(row)).toSorted((a, b) => compareVersions(b.version, a.version));
  };
  return {
    async version(name, number) {
      const row = await one(name, number).select(WHOLE).executeTakeFirst();
      return row && versionRow.parse(row);
    },
    versionsOf,
    async skill(name) {
      const row = await query
        .selectFrom('skill')
        .leftJoin('version', 'version.id', 'skill.latest_id')
        .select(['skill.downloads', 'skill.updated_at as updatedAt', 'version.version as latest'])
        .where('skill.name', '=', name)
        .executeTakeFirst();
      if (row === undefined) return undefined;
      const number = row.latest ?? (await versionsOf(name))[0]?.version ?? '';
      const shown = await one(name, number).select(SHOWN).executeTakeFirstOrThrow();
      return { ...row, name, shown: shownRow.parse(shown) };
    },
  };
}

/** What a change may do to versions. */
export function versionChanges(
  query: Kysely<Tables>,
  text: TextIndex,
): Pick<Change, 'addVersion' | 'setStanding' | 'setLatest'> {
  const skillRow = (name: string) =>
    query.selectFrom('skill').select('id').where('name', '=', name).executeTakeFirstOrThrow();
  const versionRowId = async (name: string, number: string) => {
    const found = await versions(query)
      .select('version.id')
      .where('skill.name', '=', name)
      .where('version.version', '=', number)
      .executeTakeFirstOrThrow();
    return found.id;
  };
  return {
    async addVersion(added) {
      await query
        .insertInto('skill')
        .values({ name: added.name, latest_id: null, updated_at: added.publishedAt })
        .onConflict((conflict) => conflict.column('name').doNothing())
        .execute();
      const inserted = await query
        .insertInto('version')
        .values({
          skill_id: (await skillRow(added.name)).id,
          version: added.version,
          digest: added.digest,
          size: added.size,
          kind: added.kind,
          manifest: canonicalJson(added.manifest),
          tools: JSON.stringify(added.tools),
          surface_digest: added.surfaceDigest,
          permissions: canonicalJson(added.permissions),
          permissions_digest: added.permissionsDigest,
          signer: added.signer,
          bundle: canonicalJson(added.bundle),
          receipt: canonicalJson(added.receipt),
          published_at: added.publishedAt,
          published_by: added.publishedBy,
        })
        .onConflict((conflict) => conflict.doNothing())
        .returning('id')
        .executeTakeFirst();
      if (inserted === undefined) {
        throw new AppError('version-exists', {
          detail: `${added.name}@${added.version} was published just now.`,
        });
      }
      await query
        .insertInto('version_standing')
        .values({
          version_id: inserted.id,
          yanked: 0,
          yank_reason: null,
          deprecated: null,
          changed_at: added.publishedAt,
        })
        .execute();
      await query
        .insertInto('version_permission')
        .values(atoms(added.permissions).map(({ id }) => ({ version_id: inserted.id, permission: id })))
        .execute();
    },
    async setStanding(name, number, { yanked, yankReason, deprecated }, changedAt) {
      await query
        .updateTable('version_standing')
        .set({ yanked: yanked ? 1 : 0, yank_reason: yankReason, deprecated, changed_at: changedAt })
        .where('version_id', '=', await versionRowId(name, number))
        .execute();
    },
    async setLatest(name, latest, updatedAt) {
      const { id } = await skillRow(name);
      const latestId = latest === null ? null : await versionRowId(name, latest.version);
      await query
        .updateTable('skill')
        .set({ latest_id: latestId, updated_at: updatedAt })
        .where('id', '=', id)
        .execute();
      await text.remove(query, id);
      if (latest !== null) await text.put(query, id, latest);
    },
  };
}

/** Questions across skills. */
export function listings(query: Kysely<Tables>): Pick<Store, 'servers' | 'isPublished' | 'named' | 'recent'> {
  const candidates = () =>
    query
      .selectFrom('skill')
      .select(['name', 'downloads', 'updated_at as updatedAt', sql.lit(0).as('textScore')])
      .where('latest_id', 'is not', null);
  return {
    named: (prefix, limit) => {
      const like = `${prefix.replace(/[\\%_]/g, '\\$&')}%`;
      return candidates()
        .where(sql<boolean>`(name like ${like} escape '\\' or name like ${`%/${like}`} escape '\\')`)
        .orderBy('downloads', 'desc')
        .orderBy('name')
        .limit(limit)
        .execute();
    },
    recent: (limit) => candidates().orderBy('updated_at', 'desc').orderBy('name').limit(limit).execute(),
    async isPublished(digest: Digest) {
      const row = await query
        .selectFrom('version')
        .select('id')
        .where('digest', '=', digest)
        .executeTakeFirst();
      return row !== undefined;
    },
    servers: (asked) => serverRows(query, asked),
  };
}

async function serverRows(
  query: Kysely<Tables>,
  { after, limit, name, search, version, updatedSince }: ServerQuery,
): Promise<ServerRow[]> {
  let rows = versions(query)
    .select([...SHOWN, 'version.id as row', 'skill.latest_id as latestId'])
    // Instructions alone are no MCP server.
    .where('version.kind', '<>', 'prompt-only')
    .orderBy('skill.name')
    .orderBy('version.id')
    .limit(limit + 1);
  if (after !== undefined) {
    rows = rows.where(({ eb, refTuple, tuple }) =>
      eb(refTuple('skill.name', 'version.id'), '>', tuple(after.name, after.row)),
    );
  }
  if (name !== undefined) rows = rows.where('skill.name', '=', name);
  if (search !== undefined)
    rows = rows.where(
      'skill.name',
      'like',
      sql<string>`${`%${search.replace(/[\\%_]/g, '\\$&')}%`} escape '\\'`,
    );
  if (version === 'latest') rows = rows.whereRef('version.id', '=', 'skill.latest_id');
  else if (version !== undefined) rows = rows.where('version.version', '=', version);
  if (updatedSince !== undefined) rows = rows.where('version_standing.changed_at', '>=', updatedSince);
  return (await rows.execute()).map(({ row, latestId, ...columns }) => ({
    row,
    isLatest: latestId === row,
    record: shownRow.parse(columns),
  }));
}
