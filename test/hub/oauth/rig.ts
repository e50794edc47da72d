import { onTestFinished } from 'vitest';
import type { z } from 'zod';
import { systemClock } from '../../../hub/clock.ts';
import { mcpFirst, mountHub } from '../../../hub/http.ts';
import type { InstalledSkill } from '../../../hub/installed.ts';
import { createMcpEndpoint } from '../../../hub/mcp/endpoint.ts';
import { type ClientAccess, clientAccess } from '../../../hub/oauth/client-access.ts';
import { oauthSchema } from '../../../hub/oauth/config.ts';
import { fetchJson } from '../../../hub/oauth/fetch-json.ts';
import { AppError } from '../../../protocol/errors.ts';
import { createApp, listen } from '../../../protocol/node/http-server.ts';
import { createToken } from '../../../protocol/node/tokens.ts';
import { callPath } from '../../support/call-path.ts';
import { logLines } from '../../support/log-lines.ts';

/** The token of the one local client. */
export const LOCAL_TOKEN = createToken();

export type AccessRig = Awaited<ReturnType<typeof accessRig>>;

/** The public doors of a hub over its real call path and audit log; only the skills behind it are functions. */
export async function accessRig({
  skills,
  oauth,
}: {
  skills: InstalledSkill[];
  oauth: z.input<typeof oauthSchema> | undefined;
}) {
  const { log } = logLines();
  const path = await callPath({ skills });
  const clients = {
    authenticate(token: string) {
      if (token === LOCAL_TOKEN) return { user: 'owner', client: 'local' };
      throw new AppError('not-signed-in', { detail: 'This token is not known to the hub.' });
    },
  };
  const { gateway, installed } = path;
  // As in hub/main.ts, where such a hub does not even load what checks these tokens.
  const access: ClientAccess =
    oauth === undefined
      ? { gateway, ...clients }
      : clientAccess(oauthSchema.parse(oauth), {
          gateway,
          installed,
          clients,
          fetchJson,
          clock: systemClock,
        });
  let ownHosts: string[] = [];
  const endpoint = createMcpEndpoint({
    ...access,
    serverInfo: { name: 'berth', version: '0.0.0' },
    ownHosts: () => ownHosts,
    log,
  });
  const app = createApp({ log });
  mountHub(app, { ready: () => true, protectedResource: access.protectedResource });
  const open = await listen(app, { host: '127.0.0.1', port: 0 }, mcpFirst(endpoint));
  ownHosts = [new URL(open.url).host];
  onTestFinished(async () => {
    await endpoint.close();
    await open.close(0);
    await path.close();
  });
  return { url: open.url, port: Number(new URL(open.url).port), records: path.records };
}
