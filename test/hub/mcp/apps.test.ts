import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Client, InMemoryTransport } from '@modelcontextprotocol/client';
import { App } from '@modelcontextprotocol/ext-apps';
import {
  AppBridge,
  buildAllowAttribute,
  getToolUiResourceUri,
  isToolVisibilityAppOnly,
  type McpUiResourceMeta,
  RESOURCE_MIME_TYPE,
  RESOURCE_URI_META_KEY,
} from '@modelcontextprotocol/ext-apps/app-bridge';
import { EXTENSION_ID } from '@modelcontextprotocol/ext-apps/server';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { adminApi } from '../../../hub/admin-api.ts';
import { callRoute } from '../../../protocol/node/http-client.ts';
import { type HubRig, hubRig } from '../../support/hub-rig.ts';
import { newClient } from '../../support/mcp-clients.ts';
import { verifies } from '../../support/verifies.ts';

const root = join(import.meta.dirname, '../../..');
const source = join(root, 'test/support/skills/apps');
const MARK = '#berth~local.test~second';
const INFO = { name: 'clock', version: '1.0.0' };
const VIEW = 'ui://clock/view.html';

/** Copies of one skill, one in each era, so that everything of them collides. */
const COPIES = [
  ['first', '2026-07-28'],
  ['second', '2025-11-25'],
] as const;

/** Below `node_modules`, so that the skills find their packages as in a project that has installed them. */
let sources: string;

beforeAll(async () => {
  await mkdir(join(root, 'node_modules/.cache'), { recursive: true });
  sources = await mkdtemp(join(root, 'node_modules/.cache/apps-'));
  for (const [name, protocol] of COPIES) {
    const folder = join(sources, name);
    await cp(source, folder, { recursive: true });
    const manifest = JSON.parse(await readFile(join(folder, 'skill.json'), 'utf8')) as {
      runtime: Record<string, unknown>;
    };
    await writeFile(
      join(folder, 'skill.json'),
      JSON.stringify({
        ...manifest,
        name: `local.test/${name}`,
        runtime: { ...manifest.runtime, protocol },
      }),
    );
    await writeFile(join(folder, 'server/whoami.ts'), `export const whoami = '${name}';\n`);
  }
});

afterAll(() => rm(sources, { recursive: true, force: true }));

async function rigWith(...names: ('first' | 'second')[]): Promise<HubRig & { token: string }> {
  const rig = await hubRig();
  for (const name of names) {
    await rig.publish(join(sources, name));
    await rig.install(`local.test/${name}`, '*', { tools: { '*': 'allow' } });
  }
  const { token } = await callRoute(adminApi.addClient, { ...rig.admin, body: { name: 'host' } });
  return Object.assign(rig, { token });
}

/** A host that shows apps. */
const hostOf = ({ token }: { token: string }, url: string, mode: 'legacy' | { pin: string }) =>
  newClient(
    {
      url,
      token,
      capabilities: { extensions: { [EXTENSION_ID]: { mimeTypes: [RESOURCE_MIME_TYPE] } } },
    },
    mode,
  );

/** The app of a tool, as a host finds it: URI, what it may do, and its page. */
async function appOf(client: Client, name: string) {
  const { tools } = await client.listTools();
  const tool = tools.find((listed) => listed.name === name);
  const uri = getToolUiResourceUri(tool ?? {}) ?? '';
  const { contents } = await client.readResource({ uri });
  const [page] = contents;
  const { _meta: meta } = page ?? {};
  const { _meta: toolMeta } = tool ?? {};
  return { uri, flat: toolMeta?.[RESOURCE_URI_META_KEY], page, ui: meta?.['ui'] as McpUiResourceMeta };
}

/** An app in the frame of the host, over the bridge that hosts have for it. */
async function runningIn(client: Client): Promise<App> {
  const [inFrame, inHost] = InMemoryTransport.createLinkedPair();
  const bridge = new AppBridge(client, INFO, { serverTools: {}, serverResources: {} });
  await bridge.connect(inHost);
  const app = new App(INFO, {}, { autoResize: false });
  await app.connect(inFrame);
  onTestFinished(() => app.close());
  return app;
}

describe.each([
  ['modern', { pin: '2026-07-28' }],
  ['legacy', 'legacy'],
] as const)('a host of the %s era', (_era, mode) => {
  it(
    'finds the app of each skill, though both have one URI for it',
    verifies('mcp.apps', 'catalog.uris'),
    async () => {
      const rig = await rigWith('first', 'second');
      const client = await hostOf(rig, rig.hub.mcp, mode);
      expect(client.getServerCapabilities()?.extensions).toHaveProperty(EXTENSION_ID);
      for (const [name, uri] of [
        ['first', VIEW],
        ['second', VIEW + MARK],
      ] as const) {
        const app = await appOf(client, `${name}__show_time`);
        expect([app.uri, app.flat, app.page?.uri, app.page?.mimeType]).toEqual([
          uri,
          uri,
          uri,
          RESOURCE_MIME_TYPE,
        ]);
        // The skill itself knows nothing of the mark.
        expect(app.page).toMatchObject({ text: `<!doctype html><title>${name}</title><p>${VIEW}</p>` });
        expect(app.ui).toEqual({
          csp: { connectDomains: ['https://time.example'], resourceDomains: ['https://cdn.example'] },
          permissions: { geolocation: {} },
          domain: 'clock.apps.example',
          prefersBorder: true,
        });
        expect(buildAllowAttribute(app.ui.permissions)).toBe('geolocation');
        const { resources } = await client.listResources();
        expect(resources.find((listed) => listed.uri === uri)).toMatchObject({ _meta: { ui: app.ui } });
      }
      // At the door of one skill everything is as the skill has it.
      const own = await hostOf(rig, `${rig.hub.url}/s/local.test/second/mcp`, mode);
      const app = await appOf(own, 'show_time');
      expect([app.uri, app.flat, app.page?.uri]).toEqual([VIEW, VIEW, VIEW]);
      const { content } = await own.callTool({ name: 'show_time', arguments: {} });
      expect(JSON.stringify(content)).not.toContain('berth~');
    },
  );

  it(
    'is told of resources by one URI wherever they are said',
    verifies('catalog.uris', 'mcp.apps'),
    async () => {
      const rig = await rigWith('first', 'second');
      const client = await hostOf(rig, rig.hub.mcp, mode);
      const { content, structuredContent } = await client.callTool({
        name: 'second__show_time',
        arguments: {},
      });
      expect(content).toEqual([
        { type: 'text', text: `second ${VIEW}` },
        { type: 'resource_link', uri: VIEW + MARK, name: 'view' },
        { type: 'resource_link', uri: 'https://elsewhere.example/', name: 'elsewhere' },
        { type: 'resource', resource: { uri: `clock://zones/utc${MARK}`, text: 'UTC' } },
      ]);
      // Structured content is left as it is. Each skill is told that its app will be shown, as it would be by a host.
      const expected = { uri: VIEW, hostTakes: [RESOURCE_MIME_TYPE] };
      expect(structuredContent).toEqual(expected);
      const other = await client.callTool({ name: 'first__show_time', arguments: {} });
      expect(other.structuredContent).toEqual(expected);
      const { messages } = await client.getPrompt({ name: 'second__tell' });
      expect(messages[0]?.content).toEqual({
        type: 'resource',
        resource: { uri: `clock://zones/utc${MARK}`, text: 'UTC' },
      });
      const { resourceTemplates } = await client.listResourceTemplates();
      expect(resourceTemplates.map(({ uriTemplate }) => uriTemplate)).toEqual([
        'clock://zones/{zone}',
        `clock://zones/{zone}${MARK}`,
      ]);
      for (const [name, mark] of [
        ['first', ''],
        ['second', MARK],
      ] as const) {
        const { contents } = await client.readResource({ uri: `clock://zones/cet${mark}` });
        expect(contents).toEqual([{ uri: `clock://zones/cet${mark}`, text: `${name} clock://zones/cet` }]);
      }
    },
  );

  it(
    'hears of changes by the URI that it asked for',
    verifies('catalog.uris', 'mcp.subscriptions'),
    async () => {
      const rig = await rigWith('first', 'second');
      const client = await hostOf(rig, rig.hub.mcp, mode);
      const heard = new Promise<string>((resolve) => {
        client.setNotificationHandler('notifications/resources/updated', ({ params }) => resolve(params.uri));
      });
      const uri = VIEW + MARK;
      if (mode === 'legacy') await client.subscribeResource({ uri });
      else await client.listen({ resourceSubscriptions: [uri] });
      await client.callTool({ name: 'first__touch', arguments: {} });
      await client.callTool({ name: 'second__touch', arguments: {} });
      expect(await heard).toBe(uri);
    },
  );

  it(
    'passes on what an app calls and reads by the names of its own skill',
    verifies('mcp.apps'),
    async () => {
      const rig = await rigWith('first');
      const client = await hostOf(rig, rig.hub.mcp, mode);
      const { tools } = await client.listTools();
      const tool = tools.find(({ name }) => name === 'first__set_zone') ?? {};
      expect(isToolVisibilityAppOnly(tool)).toBe(true);
      const app = await runningIn(client);
      const set = await app.callServerTool({ name: 'set_zone', arguments: { zone: 'CET' } });
      expect(set.content).toEqual([{ type: 'text', text: 'first CET' }]);
      const shown = await app.callServerTool({ name: 'show_time', arguments: {} });
      expect(shown.structuredContent).toMatchObject({ uri: VIEW });
      const { contents } = await app.readServerResource({ uri: 'clock://zones/cet' });
      expect(contents[0]).toMatchObject({ text: 'first clock://zones/cet' });
      await rig.publish(join(sources, 'second'));
      await rig.install('local.test/second', '*', { tools: { '*': 'allow' } });
      const either = app.callServerTool({ name: 'set_zone', arguments: { zone: 'CET' } });
      await expect(either).rejects.toThrow(/No tool is named "set_zone"/);
    },
  );
});
