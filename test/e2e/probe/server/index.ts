import { existsSync, readFileSync, watch, writeFileSync } from 'node:fs';
import { McpServer } from '@modelcontextprotocol/server';
import { serveStdio } from '@modelcontextprotocol/server/stdio';
import { z } from 'zod';

const text = (said: string) => ({ content: [{ type: 'text' as const, text: said }] });

function appears(path: string): Promise<void> {
  return new Promise((resolve) => {
    const watcher = watch('/workspace', () => look());
    const look = () => {
      if (!existsSync(path)) return;
      watcher.close();
      resolve();
    };
    look();
  });
}

serveStdio(() => {
  const server = new McpServer({ name: 'probe', version: '1.0.0' });
  server.registerTool(
    'raw_read',
    { description: 'Reads any path, asking nobody', inputSchema: z.object({ path: z.string() }) },
    ({ path }) => {
      try {
        return text(`read: ${readFileSync(path, 'utf8').slice(0, 200)}`);
      } catch (error) {
        return text(`refused: ${(error as NodeJS.ErrnoException).code}`);
      }
    },
  );
  server.registerTool(
    'count',
    {
      description: 'Counts aloud, and where it is told to waits for the file that says it was heard',
      inputSchema: z.object({ to: z.number().int(), heard: z.string().optional() }),
    },
    async ({ to, heard }, { mcpReq }) => {
      const { _meta: { progressToken } = {} } = mcpReq;
      for (let progress = 1; progress <= to && progressToken !== undefined; progress += 1) {
        await mcpReq.notify({
          method: 'notifications/progress',
          params: { progressToken, progress, total: to },
        });
      }
      if (heard !== undefined) await appears(`/workspace/${heard}`);
      return text(`counted to ${to}`);
    },
  );
  server.registerTool(
    'wait',
    { description: 'Waits until it is cancelled', inputSchema: z.object({ note: z.string() }) },
    ({ note }, { mcpReq }) => {
      writeFileSync(`/workspace/${note}.waiting`, '');
      return new Promise((_resolve, reject) => {
        mcpReq.signal.addEventListener('abort', () => {
          writeFileSync(`/workspace/${note}.cancelled`, '');
          reject(new Error('cancelled'));
        });
      });
    },
  );
  return server;
});
