import { styleText } from 'node:util';
import type { Writable } from 'node:stream';
import type { Outcome, Paint } from './command.ts';
import { ERRORS, type AppError, type ErrorCode } from '../protocol/errors.ts';

/** Where and how a result is shown. */
export interface Screen {
  stdout: Writable;
  stderr: Writable;
  json: boolean;
  paint: Paint;
  paintError: Paint;
}

/** The form every `--json` answer has. */
export type Envelope =
  | { ok: true; data: unknown; warnings: readonly string[] }
  | { ok: false; error: ErrorView };

interface ErrorView {
  code: ErrorCode;
  title: string;
  detail: string;
  hint?: string;
  [more: string]: unknown;
}

/** Shows what a command answered and returns the exit code. */
export function show(screen: Screen, outcome: Outcome): number {
  const { data, text, notes = [], warnings = [], undo, next = [], exit = 0 } = outcome;
  if (screen.json) {
    writeJson(screen.stdout, { ok: true, data: withUndo(data, undo), warnings });
    return exit;
  }
  const { paintError: paint } = screen;
  if (text !== undefined && text !== '') screen.stdout.write(text.endsWith('\n') ? text : `${text}\n`);
  const talk = [
    ...notes,
    ...warnings.map((warning) => `${paint.warn('warning:')} ${warning}`),
    ...(next.length === 0 ? [] : [`${paint.dim('next:')} ${next.join('\n      ')}`]),
    // Last, so that it is found at a glance (every change names the way back).
    ...(undo === undefined ? [] : [`${paint.dim('undo:')} ${undo}`]),
  ];
  if (talk.length > 0) screen.stderr.write(`${talk.join('\n')}\n`);
  return exit;
}

/** Shows a failure as what, why, and what to type next, and returns its exit code. */
export function showError(screen: Screen, error: AppError): number {
  if (screen.json) {
    writeJson(screen.stdout, { ok: false, error: errorView(error) });
    return error.exit;
  }
  const { paintError: paint } = screen;
  const faults = faultLines(error.data?.['faults'], error.message);
  const lines = [
    `${paint.bad('error:')} ${paint.strong(error.title)} ${paint.dim(`(${error.code})`)}`,
    plain(inPersonsWords(error)),
    ...faults,
    ...(error.hint === undefined ? [] : [`${paint.dim('next:')} ${plain(error.hint)}`]),
  ];
  screen.stderr.write(`${lines.filter((line) => line !== '').join('\n')}\n`);
  return error.exit;
}

/** A person wrote a command line: which part of a request its values became says nothing. */
function inPersonsWords({ code, message }: AppError): string {
  return code === 'request-invalid' ? message.replaceAll(/^(?:body|query|path)\./gm, '') : message;
}

/** An error as `--json` shows it: its own words and what it carries. */
function errorView(error: AppError): ErrorView {
  return {
    ...error.data,
    code: error.code,
    title: error.title,
    detail: error.message,
    ...(error.hint === undefined ? {} : { hint: error.hint }),
  };
}

/** Each fault on a line of its own, unless the sentence above says them all. */
function faultLines(faults: unknown, said: string): string[] {
  if (!Array.isArray(faults)) return [];
  const found = faults.slice(0, 50).map((fault: unknown) => {
    const { path, problem, remedy } = (
      typeof fault === 'object' && fault !== null ? fault : { problem: String(fault) }
    ) as Record<string, unknown>;
    return { path, remedy, problem: typeof problem === 'string' ? problem.replace(/\.$/, '') : '' };
  });
  if (found.every(({ problem }) => said.includes(problem))) return [];
  return found.map(({ path, problem, remedy }) => {
    const where = [path, problem].filter((part) => typeof part === 'string' && part !== '').join(': ');
    return plain(`  - ${where}${typeof remedy === 'string' && remedy !== '' ? `. ${remedy}` : ''}`);
  });
}

function withUndo(data: unknown, undo: string | undefined): unknown {
  if (undo === undefined || typeof data !== 'object' || data === null || Array.isArray(data)) return data;
  return { ...data, undo };
}

/** Writes an answer that is only text, such as help: as it is, or in the envelope. */
export function showText(screen: Screen, text: string): number {
  if (screen.json) writeJson(screen.stdout, { ok: true, data: { text }, warnings: [] });
  else screen.stdout.write(text);
  return 0;
}

function writeJson(stream: Writable, envelope: Envelope): void {
  stream.write(`${JSON.stringify(envelope)}\n`);
}

/** The table of exit codes, for `berth help exit-codes`. */
export const EXIT_CODES: readonly [number, string][] = [
  [0, 'done'],
  [1, 'failed'],
  [2, 'usage: the command line, a manifest or a value is not right'],
  [3, 'denied'],
  [4, 'not signed in'],
  [5, 'waiting for approval'],
  [6, 'integrity: something is not what was signed or recorded'],
  [7, 'not found'],
  [8, 'conflict: it exists already, or somebody else was first'],
  [130, 'interrupted'],
];

/** `berth help exit-codes`: each code, its meaning and the errors that end with it. */
export function exitCodesHelp(): string {
  return EXIT_CODES.map(([code, meaning]) => {
    const errors = Object.entries(ERRORS)
      .filter(([, error]) => error.exit === code)
      .map(([name]) => name);
    return [
      `${String(code).padStart(3)}  ${meaning}`,
      ...wrap(errors.join(' '), 90).map((line) => `     ${line}`),
    ].join('\n');
  }).join('\n');
}

/** Colours by meaning when the stream is a terminal that wants them; otherwise the text as it is. */
export function paintFor(colored: boolean): Paint {
  type Style = Parameters<typeof styleText>[0];
  const style = (format: Style) => (text: string) =>
    colored ? styleText(format, text, { validateStream: false }) : text;
  return {
    strong: style('bold'),
    dim: style('dim'),
    good: style('green'),
    warn: style('yellow'),
    bad: style('red'),
  };
}

// CSI, OSC and the other string sequences, two-byte escapes; then every other control character but tab and newline,
// and the marks that reorder text, with which a line can be made to read as something else.
const ESCAPES =
  // eslint-disable-next-line no-control-regex
  /(?:\u001b\[|\u009b)[0-?]*[ -/]*[@-~]?|(?:\u001b[\]PX^_]|[\u009d\u0090\u0098\u009e\u009f])[^\u0007\u001b\u009c]*(?:\u0007|\u001b\\|\u009c)?|\u001b[ -/]*[0-~]?/g;
// eslint-disable-next-line no-control-regex
const CONTROLS = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** Text from elsewhere, safe on a terminal: no escape sequences, no control characters but tab and newline. */
export function plain(text: string): string {
  return text.replaceAll('\r\n', '\n').replace(ESCAPES, '').replace(CONTROLS, '');
}

/** Makes every string in a server's answer safe on a terminal, keys included. */
export function plainDeep<T>(value: T): T {
  const clean = (item: unknown): unknown => {
    if (typeof item === 'string') return plain(item);
    if (Array.isArray(item)) return item.map(clean);
    if (typeof item === 'object' && item !== null) {
      return Object.fromEntries(Object.entries(item).map(([key, inner]) => [plain(key), clean(inner)]));
    }
    return item;
  };
  return clean(value) as T;
}

/**
 * Rows as aligned columns on a terminal and as tab-separated lines in a pipe, so that `cut` and `awk` read
 * them. The heading is for people alone. With `width`, no line on a terminal is longer.
 */
export function columns(
  { terminal, paint }: { terminal: boolean; paint: Paint },
  heading: readonly string[],
  rows: readonly (readonly string[])[],
  { width = Infinity }: { width?: number } = {},
): string {
  const cells = rows.map((row) => row.map((cell) => cell.replaceAll(/\s+/g, ' ').trim()));
  if (!terminal) return cells.map((row) => row.join('\t')).join('\n');
  const widths = heading.map((title, at) =>
    Math.max(title.length, ...cells.map((row) => (row[at] ?? '').length)),
  );
  const line = (row: readonly string[]): string =>
    clipped(
      row.map((cell, at) => (at === row.length - 1 ? cell : cell.padEnd(widths[at] ?? 0))).join('  '),
      width,
    ).trimEnd();
  return [paint.dim(line(heading)), ...cells.map(line)].join('\n');
}

/** Breaks text at blanks so that no line is longer than `width`, unless one word is. */
function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(/\s+/)) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  return line === '' ? lines : [...lines, line];
}

function clipped(line: string, width: number): string {
  return line.length <= width ? line : `${line.slice(0, Math.max(width - 1, 0))}\u2026`;
}

/** A digest as people compare it; `--json` has it whole. */
export function shortDigest(digest: string): string {
  return `${digest.slice(0, 'sha256:'.length + 12)}\u2026`;
}

/** A key's id, or a signer (`key:<id>`), as people compare it: `key AbCd1234…`. `--json` has it whole. */
export function shortKey(signer: string): string {
  return `key ${signer.replace(/^key:/, '').slice(0, 8)}\u2026`;
}

/** A moment as a person's own clock shows it: `10:49:26` today, `2026-11-21 10:49` on another day. */
export function clockTime(time: string, now: number): string {
  const moment = new Date(time);
  const two = (number: number): string => String(number).padStart(2, '0');
  const minutes = `${two(moment.getHours())}:${two(moment.getMinutes())}`;
  if (moment.toDateString() === new Date(now).toDateString()) return `${minutes}:${two(moment.getSeconds())}`;
  return `${moment.getFullYear()}-${two(moment.getMonth() + 1)}-${two(moment.getDate())} ${minutes}`;
}

/** `1 tool`, `2 tools`. */
export function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}

/** How long ago, for people; JSON keeps the time itself. */
export function ago(time: string, now: number): string {
  const seconds = Math.max(0, Math.round((now - Date.parse(time)) / 1000));
  if (Number.isNaN(seconds)) return time;
  if (seconds < 60) return 'just now';
  const [size, unit] = seconds < 3600 ? [60, 'min'] : seconds < 86_400 ? [3600, 'h'] : [86_400, 'd'];
  return `${Math.floor(seconds / size)} ${unit} ago`;
}
