import { isIP } from 'node:net';
import { LOCAL_USER } from '../../hub/clients.ts';
import type { SandboxPlan } from '../../hub/sandbox/sandbox.ts';
import { insideValues, normalise } from '../../protocol/permissions.ts';
import { type Baseline, baselineOf } from '../dev/baseline.ts';
import { type Ground, liesIn } from '../dev/ground.ts';
import { learning } from '../dev/learning.ts';
import type { Wish } from '../dev/learn-event.ts';
import { type LearnSandbox, seenHosts } from '../dev/sandbox.ts';
import { changes } from '../dev/understand.ts';
import { variableWatch } from '../dev/variables.ts';
import { callTools, runtimeOf } from './call-tools.ts';
import type { Learn, Learned, LearnOrder } from './learn.ts';

/** What learning asks this machine. */
export interface ObserveParts {
  sandbox: LearnSandbox;
  questions: Pick<Ground, 'kindOf' | 'hasProgram' | 'hasVariable'>;
  /** Real paths that cannot be granted. */
  forbidden: readonly string[];
}

const PACKAGE = '/skill';
const MAX_OWN_WRITES = 100;

/**
 * Learns by watching: the skill runs with nothing granted, and what it reaches for is seen by the tracer, whatever its
 * tools answer. A name that it asks for has an address, of nobody, so that the port is seen, too.
 * @throws AppError `learn-unavailable`, and what starting throws.
 */
export function learnObserved({ sandbox, questions, forbidden }: ObserveParts): Learn {
  const baselines = new Map<string, Baseline>();
  return async (order) => {
    const runtime = runtimeOf(order.manifest);
    const { kind, entry } = runtime;
    const usual = baselines.get(`${kind} ${entry}`) ?? (await baselineOf(sandbox, runtime));
    baselines.set(`${kind} ${entry}`, usual);
    const hasBorder = (await sandbox.driver.report()).enforces.includes('hostFilter');
    const notes: string[] = [];
    const seen = learning(
      {
        ...groundOf(order),
        ...questions,
        forbidden,
        hosts: hasBorder ? sandbox.names : new Map(),
        hasBorder,
        named: (entry) => entry,
        isUsual: usual.isUsualPath,
        hasVariable: (name) => !usual.isUsualVariable(name) && questions.hasVariable(name),
      },
      { wish: () => undefined, note: (text) => notes.push(text) },
    );
    const ownWrites = new Set<string>();
    const lostBefore = sandbox.lost();
    sandbox.listen((one, from) => {
      if (one.kind !== 'path' || !liesIn(one.path, PACKAGE)) return seen.take(one, from);
      if (one.errno === 'EROFS' && changes(one.act) && ownWrites.size < MAX_OWN_WRITES)
        ownWrites.add(one.path);
    });
    const watch = variableWatch(kind);
    const { called, answered } = await callTools(sandbox.driver, order, (plan) => ({
      ...plan,
      ...(hasBorder ? networkOf(order) : {}),
      files: { ...plan.files, ...watch?.files },
      env: { ...plan.env, ...watch?.env },
    }));
    sandbox.drain();
    if (hasBorder) seen.atNames(sandbox.names.values());
    const used = seen.used();
    if (used === undefined || sandbox.lost() > lostBefore)
      notes.push('It did more than could be followed; what is proposed may be too little.');
    return {
      how: 'observed',
      called,
      answered,
      ...wanted(seen.wishes(), [...ownWrites]),
      changed: used?.filesystem.flatMap(({ path, mode }) => (mode === 'rw' ? [path] : [])),
      notes,
    };
  };
}

/** Its folders are scratch folders; hosts that its settings name are none of those that it lacks. */
function groundOf({ manifest }: LearnOrder): Pick<Ground, 'granted' | 'roots'> {
  const granted = normalise(manifest.permissions);
  const folders = Object.entries(manifest.config).flatMap(([key, { type }]) =>
    type === 'directory' ? [key] : [],
  );
  const inside = insideValues(granted, Object.fromEntries(folders.map((key) => [key, ''])));
  return {
    granted,
    roots: [
      { reference: '${workspace}', inside: inside.workspace },
      { reference: '${data}', inside: inside.data },
      ...folders.map((key) => ({ reference: `\${config.${key}}`, inside: String(inside.config[key]) })),
    ].filter((root) => root.inside !== ''),
  };
}

function networkOf({ manifest }: LearnOrder): Pick<SandboxPlan, 'network' | 'holder'> {
  return {
    network: seenHosts([]),
    holder: { skill: manifest.name, user: LOCAL_USER, background: false },
  };
}

function wanted(
  wishes: readonly Wish[],
  ownWrites: readonly string[],
): Pick<Learned, 'paths' | 'hosts' | 'programs' | 'variables'> {
  const paths = wishes.flatMap((wish) =>
    wish.kind === 'path' ? [{ path: wish.folder ?? wish.path, mode: wish.mode }] : [],
  );
  return {
    paths: [...ownWrites.map((path) => ({ path, mode: 'rw' as const })), ...paths],
    hosts: wishes.flatMap((wish) => (wish.kind === 'host' ? [hostIn(wish)] : [])),
    programs: wishes.flatMap((wish) => (wish.kind === 'program' ? [wish.name] : [])),
    variables: wishes.flatMap((wish) => (wish.kind === 'variable' ? [wish.name] : [])),
  };
}

function hostIn({ host, port, protocol }: Extract<Wish, { kind: 'host' }>): Learned['hosts'][number] {
  return {
    host,
    ...(port === undefined ? {} : { port }),
    ...(protocol === undefined || isIP(host) !== 0 ? {} : { protocol }),
  };
}
