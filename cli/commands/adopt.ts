import { homedir } from 'node:os';
import { resolve } from 'node:path';
import { AppError } from '../../protocol/errors.ts';
import type { ServerEntry } from '../adopt/configs.ts';
import { command, type Context, type Outcome } from '../command.ts';
import { Interrupted } from '../interrupted.ts';
import { shellWord } from '../shell-word.ts';

/** `berth adopt` */
export const adopt = command({
  name: 'adopt',
  group: 'Use skills',
  summary: 'Make skills of the MCP servers that a client has, locked to what they need',
  arguments: {
    config: {
      about: 'settings of a client (mcp.json, config.toml); looked for when left out',
      optional: true,
    },
    command: { about: 'behind --, the command line of one server instead', rest: true },
  },
  options: {
    yes: { type: 'flag', short: 'y', about: 'adopt them with exactly what is proposed, without asking' },
    dryRun: { type: 'flag', about: 'only say what would be proposed' },
    replace: { type: 'flag', about: 'then put Berth in their place in the settings, keeping a backup' },
    undo: { type: 'text', value: 'BACKUP', about: 'put settings back that --replace replaced' },
    except: { type: 'list', value: 'SERVER', about: 'leave this server as it is' },
    calls: {
      type: 'text',
      value: 'FILE',
      about: 'learn from these calls, a JSON list, instead of made-up ones',
    },
    secret: {
      type: 'list',
      value: 'ID=source',
      about: 'an answer to ${input:ID}, from env:VAR, file:PATH or - (stdin)',
    },
    allowTool: { type: 'list', value: 'TOOL', about: 'run this tool without asking; * for all others' },
    askTool: { type: 'list', value: 'TOOL', about: 'ask before each call of this tool' },
    denyTool: { type: 'list', value: 'TOOL', about: 'never run this tool' },
  },
  examples: [
    'berth adopt',
    'berth adopt ~/.cursor/mcp.json --dry-run',
    'berth adopt .mcp.json --yes --replace',
    'berth adopt -- npx -y @modelcontextprotocol/server-filesystem ~/notes',
    'berth adopt --undo .mcp.json.before-berth-20261127T061434Z',
  ],
  endsItself: true,
  async run(context, { config: file, command: words, undo, yes, dryRun, replace, except, calls, ...flags }) {
    refuseContradictions({ undo, file, words, dryRun, replace });
    if (undo !== undefined) return undone(context, resolve(context.workingDirectory, undo));
    if (!yes && !dryRun && !context.asks) {
      throw new AppError('usage-invalid', {
        detail: 'Nobody can be asked here what the servers may do.',
        hint: 'Give --yes to grant exactly what is proposed, or --dry-run to read it first.',
      });
    }
    const [{ sourceOf }, { lookAtServers, isBerth }, { candidatesText, candidateData }, before, after] =
      await Promise.all([
        import('../adopt/source.ts'),
        import('../adopt/adopt.ts'),
        import('../adopt/screen.ts'),
        import('../adopt/before.ts'),
        import('../adopt/adopt-chosen.ts'),
      ]);
    const userHome = context.settings.environment['HOME'] ?? homedir();
    const source = await sourceOf(context, userHome, { file, command: words });
    if (replace && source.file === undefined) {
      throw new AppError('usage-invalid', {
        detail: 'A command line has no settings that could be replaced.',
        hint: 'Leave --replace out, or name the file with the settings.',
      });
    }
    refuseUnknownNames(source.servers, except);
    const installed = dryRun ? [] : await before.readyToPublish(context);
    const { acceptanceOf } = await import('../acceptance.ts');
    const said = await acceptanceOf(context, {
      ...flags,
      workspace: undefined,
      set: [],
      allowHost: [],
      without: [],
      unsandboxed: false,
    });
    const inputs = source.file?.config.inputs ?? [];
    const wanted = source.servers.filter(
      (entry) => !isBerth(entry) && !entry.disabled && !except.includes(entry.name),
    );
    const answers = await before.answersTo(context, wanted, inputs, said.secrets ?? {}, yes || dryRun);
    const { openSandbox } = await import('../sandbox.ts');
    const { learnHere } = await import('../adopt/learn-here.ts');
    const driver = await openSandbox(context);
    const { environment } = context.settings;
    const candidates = await lookAtServers(
      {
        driver,
        learn: await learnHere(context, driver),
        environment,
        userHome,
        signal: context.signal,
        person: { userHome, isRoot: process.getuid?.() === 0 },
        around: { environment, userHome, workspaceFolder: source.folder, inputs: answers },
        folder: source.folder,
        isSecret: (input) => inputs.find(({ id }) => id === input)?.password !== false,
        callsOf: await callsFrom(context, calls),
        installed,
        told: (server) => {
          if (!context.json) context.stderr.write(`Looking at ${shellWord(server)} …\n`);
        },
      },
      source.servers,
      except,
    );
    const text = candidatesText(context.paint, candidates);
    const ready = candidates.filter((candidate) => candidate.state === 'ready');
    const failed = candidates.filter((candidate) => candidate.state === 'refused');
    if (dryRun) {
      return {
        data: { servers: candidates.map(candidateData) },
        text,
        notes: ['Nothing was adopted and nothing was changed.'],
        exit: failed.length > 0 ? 1 : 0,
      };
    }
    if (ready.length === 0) throw after.nothingToAdopt(failed);
    after.refuseUnknownTools(ready, said.tools);
    if (!yes) context.stderr.write(`${candidatesText(context.paintError, candidates)}\n\n`);
    const chosen = yes ? ready : await (await import('../adopt/ask.ts')).askWhichToAdopt(context, ready);
    if (chosen === undefined) throw new Interrupted('Nothing was adopted and nothing was changed.');
    if (chosen.length === 0) {
      return { data: { servers: [] }, notes: ['Nothing was adopted and nothing was changed.'], exit: 3 };
    }
    return after.adoptChosen(context, {
      source,
      candidates,
      chosen,
      tools: said.tools,
      replace,
      text: yes ? text : '',
    });
  },
});

async function undone(context: Context, backup: string): Promise<Outcome> {
  const { undoReplacement } = await import('../adopt/replace.ts');
  const { record, warnings } = await undoReplacement(context, backup);
  return {
    data: { config: record.config, restored: true },
    notes: [
      `${record.config} is what it was, byte for byte. The skills stay installed; berth list shows them.`,
    ],
    warnings,
    undo: `berth adopt ${shellWord(record.config)} --yes --replace`,
  };
}

function refuseContradictions(said: {
  undo: string | undefined;
  file: string | undefined;
  words: readonly string[];
  dryRun: boolean;
  replace: boolean;
}): void {
  const { undo, file, words, dryRun, replace } = said;
  if (undo !== undefined && (file !== undefined || words.length > 0 || dryRun || replace)) {
    throw new AppError('usage-invalid', {
      detail: '--undo puts settings back and does nothing else.',
      hint: `berth adopt --undo ${shellWord(undo)}`,
    });
  }
  if (dryRun && replace) {
    throw new AppError('usage-invalid', {
      detail: '--dry-run changes nothing, and --replace changes the settings.',
      hint: 'Give one of them.',
    });
  }
}

async function callsFrom(context: Context, file: string | undefined) {
  if (file === undefined) return () => [];
  const [{ readCalls, CALLS_MAX_BYTES }, { readBoundedFile }] = await Promise.all([
    import('../adopt/calls.ts'),
    import('../adopt/places.ts'),
  ]);
  const path = resolve(context.workingDirectory, file);
  return readCalls((await readBoundedFile(path, CALLS_MAX_BYTES)).toString('utf8'), path);
}

function refuseUnknownNames(servers: readonly ServerEntry[], except: readonly string[]): void {
  const unknown = except.find((name) => !servers.some((entry) => entry.name === name));
  if (unknown === undefined) return;
  throw new AppError('usage-invalid', {
    detail: `There is no server ${shellWord(unknown)} in the settings.`,
    hint: `They name: ${servers.map(({ name }) => name).join(', ')}`,
  });
}
