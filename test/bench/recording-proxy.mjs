// The raw proxy with what no governed call can do without: a record of the decision on disk before anything is
// forwarded, and one of its end. No checks, no policy, no sessions: what a hub adds beyond its records is measured
// against this. `node recording-proxy.mjs <database> <command> <argument>…` says its port.
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { openAuditLog } from '../../dist/hub/audit/audit-log.js';
import { systemClock } from '../../dist/hub/clock.js';
import { hubMigrations } from '../../dist/hub/store/migrations/migrations.js';
import { digestOfJson } from '../../dist/protocol/canonical.js';
import { openDatabase } from '../../dist/protocol/node/database.js';
import { createKey } from '../../dist/protocol/node/keys.js';

const [path, command, ...args] = process.argv.slice(2);
const database = await openDatabase(path, { migrations: hubMigrations });
const audit = await openAuditLog({ database, key: createKey(), clock: systemClock });
const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'ignore'] });
child.once('exit', (code) => process.exit(code ?? 1));

const SKILL = { skill: 'bench/echo', name: 'echo' };
const waiting = new Map();
let lastId = 0;
let unfinished = '';
child.stdout.on('data', (chunk) => {
  const lines = (unfinished + chunk).split('\n');
  unfinished = lines.pop();
  for (const line of lines) {
    const message = JSON.parse(line);
    const asked = waiting.get(message.id);
    if (asked === undefined) continue;
    waiting.delete(message.id);
    message.id = asked.id;
    const body = Buffer.from(JSON.stringify(message));
    if (asked.call !== undefined)
      void audit.note({
        event: 'call.finished',
        call: asked.call,
        ...SKILL,
        outcome: 'ok',
        durationMs: 1,
        bytes: body.length,
      });
    asked.response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length });
    asked.response.end(body);
  }
});

function forward(message) {
  child.stdin.write(`${JSON.stringify(message)}\n`);
}

async function decided(call, given) {
  await audit.append({
    event: 'call.decided',
    call,
    principal: { user: 'bench', client: 'bench', agent: 'bench' },
    ...SKILL,
    version: '1.0.0',
    what: 'tool',
    argumentsDigest: digestOfJson(given),
    arguments: JSON.stringify(given),
    answer: 'allow',
    reasons: [{ rule: 'tool-allowed', text: 'an admin allowed this tool' }],
    grants: [],
  });
}

async function carry(message, response) {
  if (message.id === undefined) {
    response.writeHead(202, { 'content-length': 0 }).end();
    return forward(message);
  }
  const call = message.method === 'tools/call' ? `call_${randomUUID()}` : undefined;
  lastId += 1;
  waiting.set(lastId, { id: message.id, response, call });
  message.id = lastId;
  if (call !== undefined) await decided(call, message.params.arguments);
  return forward(message);
}

const server = createServer((request, response) => {
  const chunks = [];
  request.on('data', (chunk) => chunks.push(chunk));
  request.on('end', () => void carry(JSON.parse(Buffer.concat(chunks).toString()), response));
});
server.listen(0, '127.0.0.1', () => process.stdout.write(`${server.address().port}\n`));
