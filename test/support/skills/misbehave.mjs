// A skill of MCP 2025-11-25 written by hand, without an SDK, that does what its argument says.
//   none | crash-at-start | crash-while <file> | garbage-at-start | silent-at-start | silent-while <file>
//   | wrong-revision | deaf | stubborn | storm
// and, whatever the argument, what its tools say.
import { spawn } from 'node:child_process';
import { appendFileSync, existsSync, watch, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline';

const [how = 'none', ...rest] = process.argv.slice(2);
const TOOLS = [
  'ok',
  'hang',
  'spin',
  'crash',
  'garbage',
  'not-rpc',
  'flood',
  'deep',
  'exotic',
  'secret',
  'ignore-cancel',
  'slow',
  'until',
  'fork',
  'eat',
  'ask',
  'chatter',
  'grumble',
];
const send = (message) => process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
const text = (words) => ({ content: [{ type: 'text', text: words }] });

process.stderr.write(`event:started ${how} ${rest.join(' ')}\n`);
if (how === 'crash-at-start') {
  process.stderr.write(`Cannot find module 'left-pad', key ${process.env.API_KEY}\n`);
  process.exit(3);
}
if (how === 'crash-while' && existsSync(dirname(rest[0]))) {
  appendFileSync(`${rest[0]}.starts`, `${Date.now()}\n`);
  if (existsSync(rest[0])) process.exit(3);
}
if (how === 'garbage-at-start') process.stdout.write('Welcome to my server!\n');
if (how === 'stubborn') {
  // Neither a closed input nor SIGTERM ends it.
  process.on('SIGTERM', () => undefined);
  setInterval(() => undefined, 1_000);
}
const silent = how === 'silent-at-start' || (how === 'silent-while' && existsSync(rest[0]));
if (!silent) serve();
else {
  if (how === 'silent-while') writeFileSync(`${rest[0]}.seen`, '');
  setInterval(() => undefined, 1_000);
}

function serve() {
  const lines = createInterface({ input: process.stdin });
  lines.on('close', () => process.stderr.write('event:input closed\n'));
  lines.on('line', (line) => {
    const { id, method, params } = JSON.parse(line);
    if (method === 'notifications/cancelled') process.stderr.write('event:cancelled\n');
    if (id === undefined) return;
    // An answer to what was asked: the id leads back to the call that asked.
    if (method === undefined) return send({ id: Number(id.slice('ask-'.length)), result: text('answered') });
    switch (method) {
      case 'initialize':
        send({
          id,
          result: {
            protocolVersion: how === 'wrong-revision' ? '2024-11-05' : params.protocolVersion,
            capabilities: { tools: { listChanged: true } },
            serverInfo: { name: 'misbehave', version: '1' },
          },
        });
        break;
      case 'ping':
        send({ id, result: {} });
        break;
      case 'tools/list':
        send({ id, result: { tools: TOOLS.map((name) => ({ name, inputSchema: { type: 'object' } })) } });
        if (how === 'storm') {
          process.stderr.write('event:listed\n');
          send({ method: 'notifications/tools/list_changed' });
        }
        if (how === 'deaf') lines.pause();
        break;
      case 'tools/call':
        act(id, params.name, params.arguments ?? {});
        break;
      default:
        send({ id, error: { code: -32601, message: `no ${method}` } });
    }
  });
}

function act(id, tool, { path, ms = 300 }) {
  switch (tool) {
    case 'ok':
      return send({ id, result: text(`ok from ${process.pid}`) });
    case 'slow':
      return void setTimeout(() => send({ id, result: text('at last') }), ms);
    case 'until': {
      // Answers once somebody has made the file; that it waits shows by another file.
      const watcher = watch('/workspace', () => {
        if (!existsSync(path)) return;
        watcher.close();
        send({ id, result: text('it is there') });
      });
      return writeFileSync(`${path}.waiting-${id}`, '');
    }
    case 'ask':
      return send({
        id: `ask-${id}`,
        method: 'elicitation/create',
        params: {
          message: 'Who?',
          requestedSchema: { type: 'object', properties: { name: { type: 'string' } } },
        },
      });
    case 'fork':
      return void setInterval(() => {
        const child = spawn(process.execPath, ['-e', 'setInterval(() => undefined, 1_000)'], {
          stdio: 'ignore',
        });
        child.on('error', () => undefined);
      }, 1);
    case 'eat': {
      const eaten = [];
      for (;;) eaten.push(Buffer.alloc(8 * 1024 * 1024, 1));
    }
    case 'hang':
    case 'ignore-cancel':
      process.stderr.write('event:hanging\n');
      return undefined;
    case 'spin':
      process.stderr.write('event:spinning\n');
      for (;;);
    case 'crash':
      process.stderr.write('event:crashing\n');
      return process.exit(7);
    case 'garbage':
      return process.stdout.write('oh no, a stray console.log\n');
    case 'not-rpc':
      return process.stdout.write('{"hello":"world"}\n');
    case 'deep':
      return process.stdout.write(
        `{"jsonrpc":"2.0","id":${id},"result":{"content":${'['.repeat(5_000)}${']'.repeat(5_000)}}}\n`,
      );
    case 'flood': {
      process.stdout.write(`{"jsonrpc":"2.0","id":${id},"result":{"content":[{"type":"text","text":"`);
      const block = 'x'.repeat(1024 * 1024);
      let left = 100;
      const more = () => {
        while (left > 0) {
          left -= 1;
          if (!process.stdout.write(block)) return process.stdout.once('drain', more);
        }
        return process.stdout.write('"}]}}\n');
      };
      return more();
    }
    case 'chatter':
    case 'grumble': {
      // Words without end, as fast as they are taken.
      const word = JSON.stringify({
        jsonrpc: '2.0',
        method: 'notifications/message',
        params: { level: 'info' },
      });
      const words = `${word}\n`.repeat(1_000);
      const stream = tool === 'chatter' ? process.stdout : process.stderr;
      const go = () => (stream.write(words) ? setImmediate(go) : stream.once('drain', go));
      return go();
    }
    case 'exotic':
      return send({
        id,
        result: {
          content: [
            { type: 'text', text: 'x', 'x-inside': { kept: true } },
            { type: 'org.example/new', body: 1 },
          ],
          structuredContent: { deep: { er: [1, null, 'ü'] } },
          _meta: { 'org.example/trace': 'kept' },
          'x-unknown': [1, 2, 3],
        },
      });
    case 'secret':
      process.stderr.write(`The key is ${process.env.API_KEY}\u001b[2J\n`);
      return process.exit(1);
    default:
      return send({ id, error: { code: -32602, message: `Unknown tool ${tool}` } });
  }
}
