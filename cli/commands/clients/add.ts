import { command } from '../../command.ts';
import { shownBy } from '../../shown.ts';

/** `berth clients add` */
export const clientsAdd = command({
  name: 'clients add',
  group: 'Use skills',
  groupSummary: 'MCP clients that may use this hub',
  summary: 'Add an MCP client; prints what to paste into its settings',
  arguments: { client: { about: 'a name for it, such as claude or vscode' } },
  options: {
    expires: {
      type: 'number',
      min: 1,
      max: 3650,
      value: 'DAYS',
      about: 'the token ends after so many days; never when left out',
    },
    print: {
      type: 'text',
      value: 'FORMAT',
      about: 'the settings of claude, claude-desktop, vscode, cursor, codex, inspector or json',
    },
    mode: {
      type: 'text',
      value: 'MODE',
      about: 'all (when left out), profile, or search: three tools that find the others',
    },
    profile: { type: 'text', value: 'NAME', about: 'show it only what is in this profile' },
    proxy: {
      type: 'flag',
      about: 'keep the token in the home, for berth proxy, instead of showing it',
    },
  },
  examples: [
    'berth clients add claude --print claude',
    'berth clients add desktop --print claude-desktop',
    'berth clients add codex --print codex --proxy',
    'berth clients add ci --expires 30 --json',
    'berth clients add cursor --mode search',
  ],
  async run(context, { client, expires, print, proxy, mode, profile }) {
    const [{ adminApi }, { clientEntry, entryName, needsProxy }, { keepToken, proxyWay }] = await Promise.all(
      [import('../../../hub/admin-api.ts'), import('../../client-entries.ts'), import('../../proxy-way.ts')],
    );
    const format = entryName(print ?? 'json');
    const shown = shownBy(mode, profile);
    const kept = proxy || needsProxy(format);
    const { name, token, mcp, ...added } = await context.hub(adminApi.addClient, {
      body: {
        name: client,
        ...(expires === undefined ? {} : { expiresInDays: expires }),
        ...(shown === undefined ? {} : { shown }),
      },
    });
    if (kept) await keepToken(context, name, token);
    const entry = clientEntry(format, kept ? proxyWay(context, name) : { url: mcp, token });
    return {
      data: { ...added, name, ...(kept ? {} : { token }), mcp, entry },
      text: entry.text,
      notes: [
        `Paste this into ${entry.file}.`,
        kept
          ? 'Its token stays in the home of Berth, readable by your account alone; the settings hold none.'
          : 'It holds the token, which is not shown again.',
        ...(entry.command === undefined ? [] : [`Or type: ${entry.command}`]),
      ],
      undo: `berth clients rm ${name}`,
    };
  },
});
