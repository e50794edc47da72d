import { expect, it, onTestFinished } from 'vitest';
import { hasFastLane, newHome, removeHome, startBerth } from '../support/berth.ts';
import { verifies } from '../support/verifies.ts';

it('a hub answers by the lane that these tests are run for', verifies('mcp.one-behaviour'), async () => {
  const home = await newHome();
  const berth = await startBerth(home);
  onTestFinished(async () => {
    await berth.stop();
    await removeHome(home);
  });
  const { token } = await berth.ok('clients', 'add', 'one');
  const headers = {
    'content-type': 'application/json',
    accept: 'application/json, text/event-stream',
    authorization: `Bearer ${String(token)}`,
  };
  const send = (more: Record<string, string>, method: string, params: object) =>
    fetch(berth.urls.mcp, {
      method: 'POST',
      headers: { ...headers, ...more },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
    });
  const opened = await send({}, 'initialize', {
    protocolVersion: '2025-11-25',
    capabilities: {},
    clientInfo: { name: 'test', version: '1' },
  });
  await opened.text();
  const session = { 'mcp-session-id': String(opened.headers.get('mcp-session-id')) };
  const listed = await send(session, 'tools/list', {});
  expect(await listed.text()).toContain('"tools"');
  // The SDK streams its answers.
  expect(listed.headers.get('content-type')).toBe(hasFastLane ? 'application/json' : 'text/event-stream');
});
