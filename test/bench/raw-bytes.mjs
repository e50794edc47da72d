// Answers every request with the bytes of a file: the fastest that any list can be sent.
// `node raw-bytes.mjs <file>` says its port.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';

const body = readFileSync(process.argv[2]);
const headers = { 'content-type': 'application/json', 'content-length': body.length };
const server = createServer((request, response) => {
  request.resume();
  request.on('end', () => response.writeHead(200, headers).end(body));
});
server.listen(0, '127.0.0.1', () => process.stdout.write(`${server.address().port}\n`));
