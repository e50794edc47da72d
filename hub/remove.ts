import { rm } from 'node:fs/promises';
import { AppError } from '../protocol/errors.ts';
import { settle } from './approvals.ts';
import { LOCAL_USER } from './clients.ts';
import { timestamp } from './clock.ts';
import type { InstallParts } from './install.ts';
import type { InstalledSkill } from './installed.ts';

/** Removes a skill, its grants and its secrets; with `data`, what it kept for its users, too. */
export async function remove(parts: InstallParts, name: string, data: boolean): Promise<InstalledSkill> {
  const skill = parts.installed.get(name);
  if (skill === undefined) throw notInstalled(name);
  const now = timestamp(parts.clock);
  await parts.audit.transaction(async (trx, record) => {
    await trx.deleteFrom('skill').where('name', '=', name).execute();
    await trx.deleteFrom('tool_answer').where('skill', '=', name).execute();
    await trx
      .updateTable('grant')
      .set({ revoked_at: now, revoked_by: LOCAL_USER })
      .where('skill', '=', name)
      .where('revoked_at', 'is', null)
      .execute();
    const waiting = await trx
      .selectFrom('approval')
      .select('id')
      .where('skill', '=', name)
      .where('state', '=', 'waiting')
      .execute();
    for (const row of waiting) await settle(trx, row.id, 'replaced', now, 'the skill was removed');
    record({ event: 'skill.removed', skill: name, version: skill.version, data, by: LOCAL_USER });
  });
  await parts.installed.reload();
  await parts.runner.stop(name, 'removed');
  await parts.secrets.forget(name);
  if (data)
    for (const folder of await parts.paths.allDataOf(name))
      await rm(folder, { recursive: true, force: true });
  return skill;
}

/** @throws nothing: makes the error for a skill that is not there. */
export function notInstalled(name: string): AppError {
  return new AppError('not-installed', {
    detail: `${name} is not installed in this hub.`,
    hint: 'berth list shows what is.',
  });
}
