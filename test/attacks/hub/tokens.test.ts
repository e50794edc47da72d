import { describe, expect, it } from 'vitest';
import { adminApi } from '../../../hub/admin-api.ts';
import { callRoute } from '../../../protocol/node/http-client.ts';
import { authorizationServer } from '../../support/authorization-server.ts';
import { hubRig } from '../../support/hub-rig.ts';
import { skillFolder } from '../../support/skill-folder.ts';
import { verifies } from '../../support/verifies.ts';
import { exchange, INITIALIZE, modernRequest } from '../../hub/mcp/rig.ts';

const HUB = 'https://hub.test';
const NAME = 'local.test/subject';

/** Tells all that reaches it: its environment, its command line, and every byte on standard input. */
const LISTENER = {
  prelude: `const heard = [];
process.stdin.on('data', (chunk) => heard.push(String(chunk)));`,
  tools: {
    tell: {
      code: `return JSON.stringify({
  env: process.env, argv: process.argv, stdin: heard.join(''),
  cmdline: fs.readFileSync('/proc/self/cmdline', 'utf8'), environ: fs.readFileSync('/proc/self/environ', 'utf8') });`,
    },
  },
};

/** What a client may put into headers, each with a value that is found nowhere else. */
const HEADERS = {
  cookie: 'session=marker-cookie',
  'user-agent': 'marker-user-agent',
  referer: 'http://127.0.0.1/marker-referer',
  from: 'marker-from@example.org',
  'x-api-key': 'marker-api-key',
  'proxy-authorization': 'Basic marker-proxy',
  'x-forwarded-for': 'marker-forwarded-for',
  'x-forwarded-user': 'marker-forwarded-user',
  forwarded: 'for=marker-forwarded',
  traceparent: '00-marker0traceparent-00',
  baggage: 'marker=marker-baggage',
  'mcp-param-note': 'marker-mcp-param',
  'last-event-id': 'marker-last-event-id',
  'accept-language': 'marker-language',
  'x-amz-security-token': 'marker-amz',
  path: '/marker-path',
  ld_preload: '/marker-ld-preload.so',
  node_options: '--require=/marker-node-options.js',
};

describe('a skill that tells all it is given', () => {
  it(
    'has nothing to tell of any header of a client, its token least of all',
    verifies('oauth.no-passthrough', 'oauth.accepts'),
    async () => {
      const server = await authorizationServer({ scopes: ['all'] });
      const rig = await hubRig({
        config: {
          oauth: {
            resource: HUB,
            issuers: [{ url: server.issuer }],
            scopes: { all: { skills: ['*'] } },
          },
        },
      });
      await rig.publish(await skillFolder(LISTENER));
      await rig.install(NAME, '*', { tools: { tell: 'allow' } });
      const port = Number(new URL(rig.hub.url).port);
      const { token: local } = await callRoute(adminApi.addClient, { ...rig.admin, body: { name: 'agent' } });
      const inbound = await server.token({ resource: HUB, scope: 'all' });

      const call = { name: 'subject__tell', arguments: {} };
      for (const token of [local, inbound]) {
        const authorization = { authorization: `Bearer ${token}` };
        const modern = modernRequest('tools/call', call);
        const answers = [
          await exchange(
            { port },
            { headers: { ...HEADERS, ...modern.headers, ...authorization }, body: modern.body },
          ),
        ];
        const opened = await exchange(
          { port },
          { headers: { ...HEADERS, ...authorization }, body: INITIALIZE },
        );
        const session = String(opened.headers['mcp-session-id']);
        answers.push(
          await exchange(
            { port },
            {
              headers: { ...HEADERS, ...authorization, 'mcp-session-id': session },
              body: { jsonrpc: '2.0', id: 2, method: 'tools/call', params: call },
            },
          ),
        );
        for (const answer of answers) {
          expect(answer.status).toBe(200);
          const { content } = answer.json()['result'] as { content: [{ text: string }] };
          const told = JSON.parse(content[0].text) as { stdin: string; env: Record<string, string> };
          // It did listen: what was meant for it is there.
          expect(told.stdin).toContain('"tools/call"');
          expect(content[0].text).not.toMatch(/marker|bearer|authorization/i);
          for (const secret of [local, inbound, ...inbound.split('.'), session, HUB, server.issuer])
            expect(content[0].text).not.toContain(secret);
        }
      }
      // Nor does a token stay in a record.
      const records = JSON.stringify(await callRoute(adminApi.audit, { ...rig.admin, query: {} }));
      for (const secret of [local, inbound, ...inbound.split('.')]) expect(records).not.toContain(secret);
    },
  );
});
