// The least that can stand between HTTP and a skill: one child, ids rewritten, nothing checked, nothing recorded.
// What a hub adds is measured against this. `node raw-proxy.mjs <command> <argument>…` says its port.
import { spawn } from 'node:child_process';
import { createServer } from 'node:http';

const [command, ...args] = process.argv.slice(2);
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
    asked.response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length });
    asked.response.end(body);
  }
});

const server = createServer((request, response) => {
  const chunks = [];
  request.on('data', (chunk) => chunks.push(chunk));
  request.on('end', () => {
    const message = JSON.parse(Buffer.concat(chunks).toString());
    if (message.id === undefined) response.writeHead(202, { 'content-length': 0 }).end();
    else {
      lastId += 1;
      waiting.set(lastId, { id: message.id, response });
      message.id = lastId;
    }
    child.stdin.write(`${JSON.stringify(message)}\n`);
  });
});
server.listen(0, '127.0.0.1', () => process.stdout.write(`${server.address().port}\n`));
