import type { Acceptance } from '../../hub/admin-api.ts';
import { AppError, asAppError } from '../../protocol/errors.ts';
import type { Context, Outcome } from '../command.ts';
import { plain } from '../output.ts';
import { Interrupted } from '../interrupted.ts';
import { shellWord } from '../shell-word.ts';
import { adopt, type Candidate } from './adopt.ts';
import { replaceInConfig } from './replace.ts';
import { candidateData } from './screen.ts';
import type { Source } from './source.ts';

/** What a person, or `--yes`, decided about the servers of a source. */
interface Order {
  source: Source;
  candidates: readonly Candidate[];
  chosen: readonly Extract<Candidate, { state: 'ready' }>[];
  /** Answers for tools, by name. */
  tools: Acceptance['tools'];
  replace: boolean;
  /** What was not shown yet. */
  text: string;
}

/** Adopts each by itself; the settings are replaced only when none of them failed. */
export async function adoptChosen(
  context: Context,
  { source, candidates, chosen, tools, replace, text }: Order,
): Promise<Outcome> {
  const results: Record<string, unknown>[] = [];
  const warnings: string[] = [];
  const undos: string[] = [];
  const done: Candidate[] = [];
  for (const candidate of candidates) {
    const { name } = candidate.entry;
    const data = candidateData(candidate);
    const isChosen = chosen.some((one) => one === candidate);
    if (candidate.state !== 'ready' || !isChosen) {
      results.push(candidate.state === 'ready' ? { ...data, state: 'left', why: 'you left it out' } : data);
      if (candidate.state === 'refused')
        warnings.push(`${name} was not adopted: ${plain(candidate.error.message)}`);
      continue;
    }
    if (context.signal.aborted) throw new Interrupted(interruptedText(done, source));
    try {
      const { skill, undo } = await adopt(context, candidate, tools);
      if (undo !== undefined) undos.push(undo);
      if (skill.problem !== undefined) warnings.push(`${skill.name}: ${skill.problem}`);
      results.push({
        ...data,
        state: 'adopted',
        version: skill.version,
        alias: skill.alias,
        ready: skill.state,
      });
      done.push(candidate);
    } catch (error) {
      const { code, message, hint } = asAppError(error);
      results.push({ ...data, state: 'refused', error: { code, detail: message, hint } });
      warnings.push(`${name} was not adopted: ${plain(message)}`);
    }
  }
  const failed = results.filter(({ state }) => state === 'refused');
  const outcome = {
    data: { servers: results },
    text,
    notes: [
      `${done.length} of ${candidates.length} adopted: ${done.map(({ entry }) => entry.name).join(', ') || 'none'}.`,
    ],
    warnings,
    ...(undos.length === 0 ? {} : { undo: undos.join(' && ') }),
    ...(failed.length > 0 ? { exit: 1 } : {}),
  };
  if (!replace || source.file === undefined) {
    const next =
      source.file === undefined ? [] : [`berth adopt ${shellWord(source.file.path)} --yes --replace`];
    return { ...outcome, next: failed.length > 0 ? [] : next };
  }
  if (failed.length > 0 || done.length === 0) {
    const left = failed.map(({ server }) => `--except ${shellWord(String(server))}`).join(' ');
    const warning = `${source.file.path} is as it was: replaced is all or nothing. To leave these to the client, add ${left}`;
    return { ...outcome, warnings: [...warnings, warning], exit: 1 };
  }
  const replaced = await replaceInConfig(
    context,
    source.file,
    done.map(({ entry }) => entry),
  );
  return {
    ...outcome,
    data: {
      servers: results,
      replaced: { config: replaced.config, backup: replaced.backup, client: replaced.client },
    },
    notes: [
      ...outcome.notes,
      `${replaced.config} names Berth instead of them now; as it was, it lies in ${replaced.backup}.`,
      'Start the client anew, so that it reads that.',
    ],
    undo: [`berth adopt --undo ${shellWord(replaced.backup)}`, ...undos].join(' && '),
  };
}

function interruptedText(done: readonly Candidate[], { file }: Source): string {
  const names = done.map(({ entry }) => entry.name).join(', ') || 'None';
  return `${names} of the servers became skills before it was stopped.${file === undefined ? '' : ` ${file.path} is as it was.`}`;
}

/** @throws AppError `tool-not-found` for an answer to a tool that none of the servers has. */
export function refuseUnknownTools(
  ready: readonly Extract<Candidate, { state: 'ready' }>[],
  answers: Acceptance['tools'] = {},
): void {
  const offered = new Set(
    ready.flatMap(({ prepared }) => prepared.packed.surface.tools.map(({ name }) => name)),
  );
  const unknown = Object.keys(answers).find((tool) => tool !== '*' && !offered.has(tool));
  if (unknown === undefined) return;
  throw new AppError('tool-not-found', {
    detail: `None of the servers has a tool ${unknown}.`,
    hint: `Their tools: ${[...offered].slice(0, 100).join(', ')}`,
  });
}

/** Why there is nothing to decide about. */
export function nothingToAdopt(failed: readonly Extract<Candidate, { state: 'refused' }>[]): AppError {
  const [first] = failed;
  return new AppError('not-adoptable', {
    detail:
      first === undefined
        ? 'Nothing is left to adopt: each server is Berth, is switched off, or was left out.'
        : failed.length === 1
          ? `${first.entry.name}: ${first.error.message}`
          : 'None of the servers can be adopted.',
    ...(first?.error.hint === undefined ? {} : { hint: first.error.hint }),
    ...(failed.length === 0
      ? {}
      : {
          data: {
            faults: failed.map(({ entry, error }) => ({
              path: entry.name,
              problem: error.message,
              remedy: error.hint ?? '',
            })),
          },
        }),
  });
}
