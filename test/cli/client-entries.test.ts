import { describe, expect, it } from 'vitest';
import { clientEntry, ENTRY_NAMES, entryName, needsProxy } from '../../cli/client-entries.ts';
import { expectCode } from '../support/expect-code.ts';
import { verifies } from '../support/verifies.ts';

const http = { url: 'http://127.0.0.1:4750/mcp', token: 'berth_secret' };
const pipe = { command: '/usr/bin/node', args: ['/opt/berth/cli/berth.js', 'proxy', '--client', 'x'] };
const headers = { Authorization: 'Bearer berth_secret' };

describe('the settings of a client', () => {
  it('have the form that the client reads', verifies('cli.client-entries'), () => {
    expect(clientEntry('claude', http)).toMatchObject({
      json: { mcpServers: { berth: { type: 'http', url: http.url, headers } } },
      command: `claude mcp add --transport http berth ${http.url} --header 'Authorization: Bearer berth_secret'`,
    });
    expect(clientEntry('claude', pipe)).toMatchObject({
      json: { mcpServers: { berth: { type: 'stdio', ...pipe } } },
      command: 'claude mcp add berth -- /usr/bin/node /opt/berth/cli/berth.js proxy --client x',
    });
    expect(clientEntry('claude-desktop', pipe).json).toEqual({ mcpServers: { berth: pipe } });
    expect(clientEntry('vscode', http).json).toEqual({
      servers: { berth: { type: 'http', url: http.url, headers } },
    });
    expect(clientEntry('vscode', pipe).json).toEqual({ servers: { berth: { type: 'stdio', ...pipe } } });
    expect(clientEntry('cursor', http).json).toEqual({ mcpServers: { berth: { url: http.url, headers } } });
    expect(clientEntry('inspector', http).json).toEqual({
      mcpServers: { berth: { type: 'streamable-http', url: http.url, headers } },
    });
    expect(clientEntry('codex', http).text).toBe(
      [
        '[mcp_servers.berth]',
        `url = "${http.url}"`,
        'http_headers = { Authorization = "Bearer berth_secret" }',
      ].join('\n'),
    );
    expect(clientEntry('codex', { command: 'C:\\node "20"', args: ['a', 'b'] }).text).toBe(
      ['[mcp_servers.berth]', String.raw`command = "C:\\node \"20\""`, 'args = ["a", "b"]'].join('\n'),
    );
  });

  it(
    'hold a token only where they are for HTTP',
    verifies('cli.client-entries', 'proxy.token-in-home'),
    () => {
      for (const name of ENTRY_NAMES) {
        const { text } = clientEntry(name, needsProxy(name) ? pipe : http);
        expect([name, text.includes('berth_secret')]).toEqual([name, name !== 'claude-desktop']);
        expect(JSON.stringify(clientEntry(name, pipe))).not.toMatch(/Bearer|headers/);
      }
    },
  );

  it('are refused for a client that is not known, naming those that are', async () => {
    await expectCode(() => entryName('emacs'), 'usage-invalid');
  });
});
