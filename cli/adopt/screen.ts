import type { Paint } from '../command.ts';
import { plainDeep } from '../output.ts';
import type { Candidate } from './adopt.ts';

/** All servers as a person reads them before deciding: what was, what was seen, what is proposed. */
export function candidatesText(paint: Paint, candidates: readonly Candidate[]): string {
  return candidates.map((candidate) => candidateLines(paint, candidate).join('\n')).join('\n\n');
}

function candidateLines(paint: Paint, candidate: Candidate): string[] {
  // Names and descriptions come from elsewhere.
  const name = paint.strong(plainDeep(candidate.entry.name));
  if (candidate.state === 'left') return [`${name}  left as it is: ${candidate.why}.`];
  if (candidate.state === 'refused') {
    const { message, hint } = candidate.error;
    return [
      `${name}  ${paint.bad('cannot be adopted')}`,
      `  ${plainDeep(message)}`,
      ...(hint === undefined ? [] : [`  ${plainDeep(hint)}`]),
    ];
  }
  const report = plainDeep(candidate.report);
  return [
    `${name}  becomes ${report.skill} ${report.version}, ${report.source}`,
    paint.dim('  Until now'),
    ...report.before.map((sentence) => `  ${paint.bad('!')} ${sentence}`),
    paint.dim('  Seen'),
    ...report.used.map((sentence) => `  ${sentence}`),
    paint.dim('  Proposed'),
    ...report.can.map((sentence) => `  ${paint.warn('+')} ${sentence}`),
    ...report.cannot.map((sentence) => `  ${paint.good('-')} ${sentence}`),
    ...report.notes.map((sentence) => `  ${paint.warn('note:')} ${sentence}`),
    `  ${paint.strong(report.summary)}`,
  ];
}

/** A candidate as `--json` has it; what its settings hold is not repeated, for that may be a secret. */
export function candidateData(candidate: Candidate): Record<string, unknown> {
  const { name } = candidate.entry;
  if (candidate.state === 'left') return { server: name, state: 'left', why: candidate.why };
  if (candidate.state === 'ready') return { ...candidate.report, state: 'proposed' };
  const { code, message, hint } = candidate.error;
  return {
    server: name,
    state: 'refused',
    error: { code, detail: message, ...(hint === undefined ? {} : { hint }) },
  };
}
