import { mkdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { ArchiveFile } from '../../protocol/archive.ts';
import { AppError, asAppError } from '../../protocol/errors.ts';
import type { Manifest } from '../../protocol/manifest.ts';
import { skillFiles } from '../pack.ts';
import { type Baseline, baselineOf } from './baseline.ts';
import {
  bindingsOf,
  type Choices,
  grantedIn,
  hostAsAsked,
  refuseMissingFolders,
  rootsOf,
  withChoice,
  withFolderChoice,
  withFreeKey,
} from './choices.ts';
import type { Ground } from './ground.ts';
import { learning, type Learning, type Used } from './learning.ts';
import type { Wish } from './learn-event.ts';
import { withExactly, withPermission } from './manifest-edit.ts';
import { manifestSteps } from './manifest-steps.ts';
import { projectFiles } from './project-files.ts';
import { digestOfFiles, type Run, runnableRuntime, startRun } from './run.ts';
import type { LearnSandbox } from './sandbox.ts';

/** What happens in a session, as it happens. */
export type DevEvent =
  | { event: 'started'; skill: string; version: string; tools: readonly string[] }
  /** It could not be built, and what ran before runs on; or it does not start. A change of its sources tries again. */
  | { event: 'failed'; code: string; detail: string; hint?: string | undefined }
  | { event: 'refused'; wish: Wish }
  | { event: 'note'; text: string }
  | { event: 'stderr'; text: string }
  | { event: 'opened'; wish: Wish }
  | { event: 'granted'; wish: Wish }
  | { event: 'undone' }
  /** What the manifest asks for now. */
  | { event: 'recorded'; used: Used };

/** A skill under development: runs in the sandbox, is started again when it changes, and is learned from. */
export interface DevSession {
  /** Builds and starts it, unless what runs is the same. */
  load(): Promise<void>;
  /** Relays one request of MCP. While recording, what it needs is opened and it is sent again. */
  request(
    method: string,
    params: Record<string, unknown>,
    signal?: AbortSignal,
  ): Promise<Record<string, unknown>>;
  run(): Run | undefined;
  wishes(): readonly Wish[];
  /** Writes it into the manifest; while recording, opens it for this session. @throws AppError `manifest-invalid`. */
  grant(wish: Wish, reason: string | undefined): Promise<void>;
  /** Takes back the last change of the manifest. @throws AppError `usage-invalid` when there is none, or it changed since. */
  undo(): Promise<void>;
  /** Whether the manifest is another one than at the start. */
  changed(): Promise<boolean>;
  /**
   * Writes the least manifest of what was seen, and the recording.
   * @throws AppError `learn-incomplete` when that cannot be said.
   */
  record(now: Date): Promise<Used>;
  close(): Promise<void>;
}

interface SessionParts {
  sandbox: LearnSandbox;
  project: string;
  /** Where the skill's `${data}` lies. */
  dataDir: (skill: string) => string;
  environment: Readonly<Record<string, string | undefined>>;
  questions: Pick<Ground, 'kindOf' | 'hasProgram' | 'hasVariable'>;
  /** Real paths that cannot be granted. */
  forbidden: readonly string[];
  tell: (event: DevEvent) => void;
}

/** How often one request is sent again because something was opened for it. */
const MAX_ROUNDS = 12;
const MAX_HOSTS = 1_000;

/** Starts nothing yet. One thing is done at a time, in the order in which it was asked for. */
export function devSession(parts: SessionParts, first: Choices): DevSession {
  const { sandbox, project, environment, questions, tell } = parts;
  const files = projectFiles(project);
  let choices = first;
  let skill: { manifest: Manifest; files: Map<string, ArchiveFile> } | undefined;
  let running: { run: Run; digest: string; choices: Choices; hosts: number } | undefined;
  let learned: Learning | undefined;
  let baseline: { kind: string; entry: string; usual: Baseline } | undefined;
  let filtersHosts = false;
  let saidOfHosts = false;
  let answers = 0;
  /** Names that were asked for, with the address that stands for each inside. */
  const hosts = new Map<string, string>();
  const steps = manifestSteps(files);
  let last: Promise<unknown> = Promise.resolve();

  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const mine = last.then(work, work);
    last = mine.catch(() => undefined);
    return mine;
  }

  async function load(): Promise<void> {
    try {
      const built = await skillFiles(sandbox.driver, project);
      skill = built;
      const digest = digestOfFiles(built.files);
      if (running?.digest === digest && running.choices === choices && running.hosts === hosts.size) return;
      await stop();
      await start(built.manifest, built.files, digest);
    } catch (error) {
      const { code, message, hint } = asAppError(error);
      // Without the means to watch there is no session, whatever the author changes.
      if (code === 'learn-unavailable' || code === 'sandbox-unavailable' || code === 'usage-invalid')
        throw error;
      sandbox.drain();
      tell({ event: 'failed', code, detail: message, hint });
    }
  }

  async function start(
    manifest: Manifest,
    built: ReadonlyMap<string, ArchiveFile>,
    digest: string,
  ): Promise<void> {
    const runtime = runnableRuntime(manifest);
    refuseMissingFolders(manifest, choices);
    filtersHosts = (await sandbox.driver.report()).enforces.includes('hostFilter');
    if (baseline?.kind !== runtime.kind || baseline.entry !== runtime.entry) {
      baseline = { kind: runtime.kind, entry: runtime.entry, usual: await baselineOf(sandbox, runtime) };
      if (runtime.kind === 'binary')
        tell({ event: 'note', text: 'Which variables a binary asks for cannot be seen.' });
    }
    const granted = grantedIn(manifest, choices);
    if (granted.network.length > 0 && !filtersHosts && !saidOfHosts) {
      saidOfHosts = true;
      tell({
        event: 'note',
        text: 'This sandbox cannot open certain hosts: which ones are wanted is seen, and none is reached.',
      });
    }
    const dataDir = parts.dataDir(manifest.name);
    const bindings = bindingsOf(manifest, choices, dataDir);
    await makeData(dataDir);
    for (const { host } of granted.network) if (!host.startsWith('*.')) standFor(host);
    const { usual } = baseline;
    const ground: Ground = {
      granted,
      roots: rootsOf(granted, bindings, choices.folders),
      hosts: filtersHosts ? sandbox.names : new Map([...hosts].map(([name, address]) => [address, name])),
      hasBorder: filtersHosts,
      named: (held) => hostAsAsked(manifest, choices, held),
      forbidden: parts.forbidden,
      ...questions,
      isUsual: usual.isUsualPath,
      hasVariable: (name) => !usual.isUsualVariable(name) && questions.hasVariable(name),
    };
    learned ??= learning(ground, {
      wish(wish) {
        if (wish.kind === 'host') standFor(wish.host);
        tell({ event: 'refused', wish });
      },
      note: (text) => tell({ event: 'note', text }),
    });
    learned.standOn(ground);
    sandbox.listen(learned.take, learned.atBorder);
    const run = await startRun(sandbox, {
      manifest,
      files: built,
      granted,
      bindings,
      hosts: filtersHosts ? undefined : ground.hosts,
      environment,
      said: (text) => tell({ event: 'stderr', text }),
    });
    running = { run, digest, choices, hosts: hosts.size };
    sandbox.drain();
    tell({
      event: 'started',
      skill: manifest.name,
      version: manifest.version,
      tools: run.surface.tools.map(({ name }) => name),
    });
  }

  /** A name without an address would only ever show as a name: with one it shows at which port it is wanted. */
  function standFor(name: string): void {
    if (filtersHosts || hosts.has(name) || hosts.size >= MAX_HOSTS || /[^a-z0-9._-]/.test(name)) return;
    const number = hosts.size + 1;
    hosts.set(name, `127.64.${Math.floor(number / 250)}.${(number % 250) + 1}`);
  }

  async function makeData(folder: string): Promise<void> {
    await mkdir(dirname(folder), { recursive: true, mode: 0o700 });
    // A recording begins with nothing, so that the same session gives the same manifest.
    if (choices.record && learned === undefined) await rm(folder, { recursive: true, force: true });
    await sandbox.driver.makeOwned(folder);
  }

  async function stop(): Promise<void> {
    const { run } = running ?? {};
    running = undefined;
    await run?.close();
  }

  async function request(method: string, params: Record<string, unknown>, signal?: AbortSignal) {
    for (let round = 1; ; round += 1) {
      const run = running?.run;
      if (run === undefined || skill === undefined) {
        throw new AppError('skill-start-failed', {
          detail: 'The skill does not run.',
          hint: 'Correct it; it is started at each change.',
        });
      }
      const { timeoutMs } = skill.manifest.permissions.resources;
      const leave = run.connection.enter();
      const outcome = await run.connection.session
        .request({ method, params, timeoutMs, ...(signal === undefined ? {} : { signal }) })
        .then(
          (result) => ({ result }),
          (error: unknown) => ({ error }),
        )
        .finally(leave);
      sandbox.drain();
      if (filtersHosts) learned?.atNames(sandbox.names.values());
      const opens = choices.record && round < MAX_ROUNDS && signal?.aborted !== true && openForNext();
      if (opens) {
        await load();
        continue;
      }
      if ('error' in outcome) throw outcome.error;
      answers += method === 'tools/call' ? 1 : 0;
      return outcome.result;
    }
  }

  /** Opens what was refused, where the author said so; answers whether another try can see more. */
  function openForNext(): boolean {
    const before = choices;
    if (choices.allowSeen) {
      for (const wish of learned?.wishes() ?? []) {
        // A variable or a folder of the machine is opened by its name alone.
        if (wish.kind !== 'program' && wish.kind !== 'host') continue;
        const next = withChoice(choices, wish);
        if (next === choices) continue;
        choices = next;
        tell({ event: 'opened', wish });
      }
    }
    return choices !== before || (running !== undefined && running.hosts !== hosts.size);
  }

  async function grant(wish: Wish, reason: string | undefined): Promise<void> {
    const named = skill === undefined ? wish : withFreeKey(wish, choices);
    if (choices.record) {
      choices = withChoice(choices, named);
      tell({ event: 'opened', wish: named });
    } else {
      await steps.change((text) => withPermission(text, named, reason));
      if (named.kind === 'path' && named.folder !== undefined)
        choices = withFolderChoice(choices, named.path, named.folder);
      tell({ event: 'granted', wish: named });
    }
    await load();
  }

  return {
    load: () => inTurn(load),
    request: (method, params, signal) => inTurn(() => request(method, params, signal)),
    run: () => running?.run,
    wishes: () => learned?.wishes() ?? [],
    grant: (wish, reason) => inTurn(() => grant(wish, reason)),
    undo: () =>
      inTurn(async () => {
        await steps.undo();
        tell({ event: 'undone' });
        await load();
      }),
    changed: steps.changed,
    record: (now) =>
      inTurn(async () => {
        sandbox.drain();
        const used = learned?.used();
        if (answers === 0 || used === undefined || skill === undefined || sandbox.lost() > 0) {
          throw new AppError('learn-incomplete', {
            detail:
              answers === 0
                ? 'No tool was called that answered, so nothing can be said of what the skill needs.'
                : 'The skill did more than can be kept in mind; what it needs at least cannot be said.',
            hint: answers === 0 ? "Call its tools, such as --call 'greet {}'." : 'Record a shorter session.',
          });
        }
        await steps.change((text) => withExactly(text, used));
        await files.writeRecording({ skill: skill.manifest.name, recorded: now.toISOString(), used });
        tell({ event: 'recorded', used });
        return used;
      }),
    close: () => inTurn(stop),
  };
}

/** Where the data of a skill under development lies: apart from what a hub keeps for it. */
export function devDataDir(home: string): (skill: string) => string {
  return (skill) => join(home, 'dev', 'data', skill.replace('/', '__'));
}
