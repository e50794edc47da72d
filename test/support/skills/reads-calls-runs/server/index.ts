import { execFile } from 'node:child_process';
import { readFile, realpath } from 'node:fs/promises';
import { fromJsonSchema, McpServer } from '@modelcontextprotocol/server';
import { serveStdio } from '@modelcontextprotocol/server/stdio';

const orWhy = (work: Promise<unknown>): Promise<string> =>
  work.then(
    (value) => String(value).trim(),
    (error: Error & { code?: string; cause?: { code?: string } }) =>
      error.code ?? error.cause?.code ?? error.message,
  );

const version = () =>
  new Promise((resolve, reject) =>
    execFile('git', ['--version'], (error, stdout) => (error === null ? resolve(stdout) : reject(error))),
  );

serveStdio(() => {
  const server = new McpServer({ name: 'reads-calls-runs', version: '1.0.0' });
  server.registerTool(
    'report',
    {
      description: 'Reads one file, calls one host and runs one program',
      inputSchema: fromJsonSchema({ type: 'object', properties: {} }),
      annotations: { readOnlyHint: true },
    },
    async () => {
      const text = [
        // By its real path, which looks at every folder on the way.
        await orWhy(realpath('/workspace/notes/today.txt').then((path) => readFile(path, 'utf8'))),
        await orWhy(version()),
        await orWhy(fetch('https://api.example.test:8443/').then(({ status }) => status)),
      ].join('\n');
      return { content: [{ type: 'text', text }] };
    },
  );
  return server;
});
