import { command } from '../../command.ts';
import { shownBy } from '../../shown.ts';

/** `berth clients add` */
export const clientsAdd = command({
  name: 'clients add',
  group: 'Use skills',
  groupSummary: 'MCP clients that may use this hub',
  summary: 'Add an MCP client; its token is shown this once',
  arguments: { client: { about: 'a name for it, such as claude or vscode' } },
  options: {
    expires: {
      type: 'number',
      min: 1,
      max: 3650,
      value: 'DAYS',
      about: 'the token ends after so many days; never when left out',
    },
    mode: {
      type: 'text',
      value: 'MODE',
      about: 'all (when left out), profile, or search: three tools that find the others',
    },
    profile: { type: 'text', value: 'NAME', about: 'show it only what is in this profile' },
  },
  examples: [
    'berth clients add claude',
    'berth clients add ci --expires 30 --json',
    'berth clients add cursor --mode search',
  ],
  async run(context, { client, expires, mode, profile }) {
    const { adminApi } = await import('../../../hub/admin-api.ts');
    const shown = shownBy(mode, profile);
    const added = await context.hub(adminApi.addClient, {
      body: {
        name: client,
        ...(expires === undefined ? {} : { expiresInDays: expires }),
        ...(shown === undefined ? {} : { shown }),
      },
    });
    return {
      data: added,
      text: clientConfig(added),
      notes: [
        'Paste this into the MCP settings of the client. The token is not shown again.',
        `With Claude Code: claude mcp add --transport http berth ${added.mcp} --header "Authorization: Bearer TOKEN"`,
      ],
      undo: `berth clients rm ${added.name}`,
    };
  },
});

/** The form that most clients read (`mcpServers`). */
function clientConfig({ mcp, token }: { mcp: string; token: string }): string {
  const entry = { type: 'http', url: mcp, headers: { Authorization: `Bearer ${token}` } };
  return JSON.stringify({ mcpServers: { berth: entry } }, undefined, 2);
}
