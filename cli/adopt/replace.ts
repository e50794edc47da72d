import { isDeepStrictEqual } from 'node:util';
import { adminApi } from '../../hub/admin-api.ts';
import { AppError } from '../../protocol/errors.ts';
import { forgetClientToken } from '../client-tokens.ts';
import type { Context } from '../command.ts';
import { keepToken, proxyWay } from '../proxy-way.ts';
import { type ReplacedConfig, replaceConfig, replacedConfig, restoreConfig } from './backup.ts';
import type { ServerEntry } from './configs.ts';
import { isBerth } from './adopt.ts';
import { rewritten } from './rewrite.ts';
import type { Source } from './source.ts';

const MAX_CLIENTS = 100;

/**
 * Puts Berth's one entry in place of servers in a client's settings, with a token of the client's own that stays in
 * Berth's home. Whatever fails leaves the settings as they are, and no token behind.
 * @throws AppError `client-config-changed`, `config-invalid`.
 */
export async function replaceInConfig(
  context: Context,
  { path, bytes, config }: NonNullable<Source['file']>,
  servers: readonly ServerEntry[],
): Promise<ReplacedConfig> {
  const isThere = config.servers.some(
    (entry) => isBerth(entry) && isDeepStrictEqual(entry.at.slice(0, -1), config.container),
  );
  const client = isThere
    ? undefined
    : await addClient(context, config.client === 'json' ? 'adopted' : config.client);
  try {
    const way = client === undefined ? undefined : proxyWay(context, client);
    const text = rewritten(bytes.toString('utf8'), config, servers, way);
    return await replaceConfig({ home: context.home, now: new Date() }, { path, read: bytes, text, client });
  } catch (error) {
    if (client !== undefined) await removeClient(context, client);
    throw error;
  }
}

/** Takes a replacement back: the settings byte for byte, and the token that was made for them. */
export async function undoReplacement(
  context: Context,
  backup: string,
): Promise<{ record: ReplacedConfig; warnings: string[] }> {
  const record = await replacedConfig(context.home, backup);
  await restoreConfig(context.home, record);
  try {
    if (record.client !== undefined) await removeClient(context, record.client);
    return { record, warnings: [] };
  } catch (error) {
    // The settings are what was asked for; with the hub stopped the token stays, and is of use to nobody else.
    if (!(error instanceof AppError)) throw error;
    const warning = `The client ${record.client} is still known to the hub: ${error.message} Remove it with: berth clients rm ${record.client}`;
    return { record, warnings: [warning] };
  }
}

async function addClient(context: Context, wanted: string): Promise<string> {
  for (let count = 1; ; count += 1) {
    const name = count === 1 ? wanted : `${wanted}-${count}`;
    try {
      const { token } = await context.hub(adminApi.addClient, { body: { name } });
      await keepToken(context, name, token);
      return name;
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'client-exists' || count === MAX_CLIENTS)
        throw error;
    }
  }
}

async function removeClient(context: Context, client: string): Promise<void> {
  await forgetClientToken(context.home, client);
  await context.hub(adminApi.removeClient, { params: { client } }).catch((error: unknown) => {
    if (!(error instanceof AppError) || error.code !== 'client-not-found') throw error;
  });
}
