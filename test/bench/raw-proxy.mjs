// The least that can stand between HTTP and a skill: one child, ids rewritten, nothing checked. What a hub adds is
// measured against this. With `--record <database>` each call is on record, too, and nothing else: what a hub adds
// beyond its records. `node raw-proxy.mjs [--record <database>] <command> <argument>…` says its port.
import { spawn } from 'node:child_process';
import { createServer } from 'node:http';

const words = process.argv.slice(2);
const database = words[0] === '--record' ? words.splice(0, 2)[1] : undefined;
const recorder =
  database === undefined ? undefined : await (await import('./recorder.mjs')).openRecorder(database);
const [command, ...args] = words;
const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'ignore'] });
child.once('exit', (code) => process.exit(code ?? 1));

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
    if (asked.call !== undefined) recorder.finished(asked.call, body.length);
    asked.response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length });
    asked.response.end(body);
  }
});

function forward(message, response, call) {
  if (message.id === undefined) response.writeHead(202, { 'content-length': 0 }).end();
  else {
    lastId += 1;
    waiting.set(lastId, { id: message.id, response, call });
    message.id = lastId;
  }
  child.stdin.write(`${JSON.stringify(message)}\n`);
}

async function forwardRecorded(message, response) {
  forward(message, response, await recorder.decided(message.params.arguments));
}

const server = createServer((request, response) => {
  const chunks = [];
  request.on('data', (chunk) => chunks.push(chunk));
  request.on('end', () => {
    const message = JSON.parse(Buffer.concat(chunks).toString());
    if (recorder === undefined || message.method !== 'tools/call') forward(message, response);
    else void forwardRecorded(message, response);
  });
});
server.listen(0, '127.0.0.1', () => process.stdout.write(`${server.address().port}\n`));
