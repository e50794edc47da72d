import { McpServer, ResourceTemplate, type CallToolResult } from '@modelcontextprotocol/server';
import { serveStdio } from '@modelcontextprotocol/server/stdio';
import { edit, editInput, editOutput, editText } from './edit.ts';
import { lanes } from './lanes.ts';
import { list, listInput, listOutput, listText } from './list.ts';
import { move, moveInput, moveOutput, moveText } from './move.ts';
import { read, readInput, readOutput, readText } from './read.ts';
import { completePath, readResource } from './resource.ts';
import { search, searchInput, searchOutput, searchText } from './search.ts';
import {
  deleteInput,
  deleteOutput,
  deleteText,
  remove,
  restore,
  restoreInput,
  restoreOutput,
  restoreText,
} from './trash.ts';
import { openWorkspace, type Workspace } from './workspace.ts';
import { write, writeInput, writeOutput, writeText } from './write.ts';

const INSTRUCTIONS = `Works on the files of one folder, the workspace. Paths are relative to its root.
Read before you change: "read" answers a revision, and "write" and "edit" accept it as ifRevision, so that a change made
by somebody else meanwhile is noticed instead of lost. Every tool that changes something accepts dryRun: true and then
answers a diff. "delete" moves into a trash; "restore" brings back.`;

const READS = { readOnlyHint: true, openWorldHint: false } as const;
const CHANGES = { readOnlyHint: false, destructiveHint: false, openWorldHint: false } as const;

function filesServer(workspace: Workspace): McpServer {
  const inLane = lanes();
  const server = new McpServer(
    { name: 'files', version: '1.0.0', title: 'Files' },
    {
      instructions: INSTRUCTIONS,
      capabilities: { tools: { listChanged: false }, resources: { listChanged: false } },
    },
  );

  server.registerTool(
    'list',
    {
      title: 'List a folder',
      description: 'Lists a folder of the workspace, some levels deep if wanted, filtered by a glob.',
      inputSchema: listInput,
      outputSchema: listOutput,
      annotations: READS,
    },
    (args, ctx) => answer(() => list(workspace, args, ctx.mcpReq.signal), listText),
  );
  server.registerTool(
    'read',
    {
      title: 'Read a file',
      description:
        'Reads lines of a text file, and answers its revision. Long files come in parts: go on at nextLine.',
      inputSchema: readInput,
      outputSchema: readOutput,
      annotations: READS,
    },
    (args, ctx) => answer(() => read(workspace, args, ctx.mcpReq.signal), readText),
  );
  server.registerTool(
    'search',
    {
      title: 'Search in files',
      description:
        'Finds lines by text or RE2 regular expression in the files of a folder, with context lines.',
      inputSchema: searchInput,
      outputSchema: searchOutput,
      annotations: READS,
    },
    (args, ctx) => {
      const progress = async (files: number): Promise<void> => {
        const { _meta: meta } = ctx.mcpReq;
        if (meta?.progressToken === undefined) return;
        const params = {
          progressToken: meta.progressToken,
          progress: files,
          message: `${files} files searched`,
        };
        await ctx.mcpReq.notify({ method: 'notifications/progress', params });
      };
      return answer(
        () => search({ workspace, now: Date.now, progress }, args, ctx.mcpReq.signal),
        searchText,
      );
    },
  );
  server.registerTool(
    'write',
    {
      title: 'Write a file',
      description:
        'Creates a file with this content. Replaces one that exists only with ifRevision or overwrite: true.',
      inputSchema: writeInput,
      outputSchema: writeOutput,
      annotations: { ...CHANGES, destructiveHint: true, idempotentHint: true },
    },
    (args) => answer(() => write({ workspace, inLane }, args), writeText),
  );
  server.registerTool(
    'edit',
    {
      title: 'Edit a file',
      description:
        'Replaces an exact text in a file. The text must stand there exactly once, unless all: true.',
      inputSchema: editInput,
      outputSchema: editOutput,
      annotations: CHANGES,
    },
    (args) => answer(() => edit({ workspace, inLane }, args), editText),
  );
  server.registerTool(
    'move',
    {
      title: 'Move or rename',
      description: 'Moves or renames a file or folder within the workspace. Never overwrites.',
      inputSchema: moveInput,
      outputSchema: moveOutput,
      annotations: CHANGES,
    },
    (args) => answer(() => move(workspace, args), moveText),
  );
  server.registerTool(
    'delete',
    {
      title: 'Delete to the trash',
      description:
        'Moves a file or folder into the trash of the workspace and answers the id that restores it.',
      inputSchema: deleteInput,
      outputSchema: deleteOutput,
      annotations: { ...CHANGES, destructiveHint: true },
    },
    (args, ctx) =>
      answer(() => remove({ workspace, now: () => new Date() }, args, ctx.mcpReq.signal), deleteText),
  );
  server.registerTool(
    'restore',
    {
      title: 'Restore from the trash',
      description:
        'Brings back what "delete" took away, to where it was or to another path. Never overwrites.',
      inputSchema: restoreInput,
      outputSchema: restoreOutput,
      annotations: CHANGES,
    },
    (args) => answer(() => restore(workspace, args), restoreText),
  );

  // No list callback: which resources a server offers is part of what is reviewed, so it must not vary with the files.
  server.registerResource(
    'file',
    new ResourceTemplate('file:///{+path}', {
      list: undefined,
      complete: { path: (typed) => completePath(workspace, typed) },
    }),
    { title: 'File', description: 'A file of the workspace, by its path relative to the root.' },
    async (uri, variables) => ({
      contents: [await readResource(workspace, uri.href, decodeURIComponent(String(variables['path'])))],
    }),
  );
  return server;
}

/** Runs a tool and renders its result twice: structured, and as the text a model reads. */
async function answer<T extends Record<string, unknown>>(
  work: () => Promise<T>,
  text: (result: T) => string,
): Promise<CallToolResult> {
  try {
    const result = await work();
    return { content: [{ type: 'text', text: text(result) }], structuredContent: result };
  } catch (error) {
    return { content: [{ type: 'text', text: explain(error) }], isError: true };
  }
}

/** System errors as sentences that say what to do; the paths in them are the sandbox's and tell the caller nothing. */
function explain(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  switch (code) {
    case 'ENOENT':
      return 'There is no file or folder of that name. The tool "list" shows what is there.';
    case 'ENOTDIR':
      return 'A part of the path is a file, not a folder. The tool "list" shows what is there.';
    case 'EISDIR':
      return 'That is a folder. Name a file in it.';
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return 'The system does not permit that: the granted folder, or this file in it, is read-only here.';
    case 'ENOSPC':
    case 'EDQUOT':
      return 'The disk is full. Nothing was changed.';
    case 'ENAMETOOLONG':
      return 'The name is too long for this file system.';
    case 'ELOOP':
      return 'The path runs in a circle of symbolic links.';
    case 'EXDEV':
      return 'That crosses into another file system, where a move cannot be done in one step.';
    default:
      return message;
  }
}

const folder = process.argv[2];
if (folder === undefined) {
  process.stderr.write('Start with the folder to work on: node server/index.mjs <folder>\n');
  process.exit(2);
}
const workspace = await openWorkspace(folder);
serveStdio(() => filesServer(workspace));
