import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import { array, assert, constantFrom, oneof, property, string } from 'fast-check';
import {
  ago,
  clockTime,
  columns,
  EXIT_CODES,
  exitCodesHelp,
  paintFor,
  plain,
  plainDeep,
  show,
  shortDigest,
  shortKey,
  showError,
  showText,
} from '../../cli/output.ts';
import { AppError, ERRORS } from '../../protocol/errors.ts';
import { verifies } from '../support/verifies.ts';

const PAINT = paintFor(false);

function screen(json: boolean) {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  return {
    stdout,
    stderr,
    json,
    paint: PAINT,
    paintError: PAINT,
    async read() {
      stdout.end();
      stderr.end();
      return { out: await text(stdout), err: await text(stderr) };
    },
  };
}

describe('the answer of a command', () => {
  it('is data on stdout and talk on stderr, the undo last', async () => {
    const at = screen(false);
    const code = show(at, {
      data: { a: 1 },
      text: 'the data',
      notes: ['a note'],
      warnings: ['careful'],
      undo: 'berth remove x',
      next: ['berth list'],
    });
    expect(code).toBe(0);
    expect(await at.read()).toEqual({
      out: 'the data\n',
      err: 'a note\nwarning: careful\nnext: berth list\nundo: berth remove x\n',
    });
  });

  it('is one envelope as JSON, with the undo among the data', verifies('cli.json'), async () => {
    const at = screen(true);
    show(at, { data: { a: 1 }, text: 'for people', warnings: ['careful'], undo: 'berth remove x' });
    const { out, err } = await at.read();
    expect(JSON.parse(out)).toEqual({
      ok: true,
      data: { a: 1, undo: 'berth remove x' },
      warnings: ['careful'],
    });
    expect(err).toBe('');
  });

  it('of a failure says what, why and what next, and carries its data as JSON', async () => {
    const error = new AppError('audit-broken', {
      detail: 'Record 7 was changed.',
      hint: 'Compare with a backup.',
      data: { record: 7, reason: 'hash' },
    });
    const human = screen(false);
    expect(showError(human, error)).toBe(6);
    expect(await human.read()).toEqual({
      out: '',
      err: 'error: The audit log does not verify (audit-broken)\nRecord 7 was changed.\nnext: Compare with a backup.\n',
    });
    const machine = screen(true);
    expect(showError(machine, error)).toBe(6);
    expect(JSON.parse((await machine.read()).out)).toEqual({
      ok: false,
      error: {
        code: 'audit-broken',
        title: 'The audit log does not verify',
        detail: 'Record 7 was changed.',
        hint: 'Compare with a backup.',
        record: 7,
        reason: 'hash',
      },
    });
  });

  it('does not say the same fault twice', async () => {
    const at = screen(false);
    const faults = [{ path: '(arguments)', problem: 'lack path' }];
    showError(
      at,
      new AppError('arguments-invalid', { detail: 'read: (arguments) lack path', data: { faults } }),
    );
    expect((await at.read()).err.match(/lack path/g)).toHaveLength(1);
  });

  it('lists every fault of a manifest for a person', async () => {
    const at = screen(false);
    const faults = [
      { path: 'name', problem: 'is missing', remedy: 'Write one.' },
      { path: 'version', problem: 'is no version', remedy: 'Write 1.0.0.' },
    ];
    showError(at, new AppError('manifest-invalid', { detail: 'Two faults.', data: { faults } }));
    expect((await at.read()).err).toContain(
      '  - name: is missing. Write one.\n  - version: is no version. Write 1.0.0.',
    );
  });
});

describe('exit codes', () => {
  it('of every error are in the table that help shows', verifies('cli.exit-codes'), () => {
    const known = new Set(EXIT_CODES.map(([code]) => code));
    const help = exitCodesHelp();
    for (const [name, { exit }] of Object.entries(ERRORS)) {
      expect(known, name).toContain(exit);
      expect(help).toMatch(new RegExp(`\\b${name}\\b`));
    }
  });
});

describe('plain', () => {
  it('takes out what a terminal would obey', verifies('cli.no-raw-controls'), () => {
    expect(plain('a\u001b[31mred\u001b[0m b')).toBe('ared b');
    expect(plain('\u001b]0;title\u0007after')).toBe('after');
    expect(plain('\u001b]8;;http://evil\u001b\\link\u001b]8;;\u001b\\')).toBe('link');
    expect(plain('\u009b2Jclear')).toBe('clear');
    expect(plain('back\b\b\bspace\rreturn\u0000')).toBe('backspacereturn');
    expect(plain('safe\u202egnp.exe')).toBe('safegnp.exe');
    expect(plain('line\r\nline\tcolumn')).toBe('line\nline\tcolumn');
    expect(plain('Grüße, 世界 👋🏽')).toBe('Grüße, 世界 👋🏽');
  });

  it('leaves no control character in any text, and a plain text as it is', () => {
    // oxlint-disable-next-line no-control-regex
    const controls = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/;
    assert(
      property(
        array(oneof(string(), constantFrom('\u001b[', '\u001b]', '\u009b', '\u0007', '\u001bP'))),
        (parts) => {
          const once = plain(parts.join(''));
          expect(once).not.toMatch(controls);
          expect(plain(once)).toBe(once);
        },
      ),
    );
  });

  it('reaches every string of an answer, keys included', () => {
    expect(plainDeep({ 'k\u001b[1m': ['\u0007a', { b: 'c\u001b[2J' }], n: 1, z: null })).toEqual({
      k: ['a', { b: 'c' }],
      n: 1,
      z: null,
    });
  });
});

describe('columns', () => {
  it('are aligned under a heading on a terminal', () => {
    expect(
      columns(
        { terminal: true, paint: PAINT },
        ['NAME', 'V'],
        [
          ['a', '1'],
          ['long name', '2'],
        ],
      ),
    ).toBe('NAME       V\na          1\nlong name  2');
  });

  it('are tab-separated lines in a pipe, one row a line whatever the cells hold', () => {
    expect(columns({ terminal: false, paint: PAINT }, ['NAME', 'V'], [['a\nb\tc', '1']])).toBe('a b c\t1');
  });
});

describe('a table with a width', () => {
  it('is one line a row on a terminal, cut with an ellipsis, and whole in a pipe', () => {
    const rows = [['1', 'a long sentence']];
    expect(columns({ terminal: true, paint: PAINT }, ['N', 'WHAT'], rows, { width: 10 })).toBe(
      'N  WHAT\n1  a long\u2026',
    );
    expect(columns({ terminal: false, paint: PAINT }, ['N', 'WHAT'], rows, { width: 10 })).toBe(
      '1\ta long sentence',
    );
  });
});

describe('what only machines compare whole', () => {
  it('is shortened for people', () => {
    expect(shortDigest(`sha256:${'ab'.repeat(32)}`)).toBe('sha256:abababababab\u2026');
    expect(shortKey('key:+wInIT5XKsFV6xQpBcDywZ+ow/QJKRA6PVxHjwrWjCg=')).toBe('key +wInIT5X\u2026');
  });
});

describe('a text', () => {
  it('such as help is in the envelope, too', verifies('cli.json'), async () => {
    const at = screen(true);
    expect(showText(at, 'Usage: …\n')).toBe(0);
    expect(JSON.parse((await at.read()).out)).toEqual({
      ok: true,
      data: { text: 'Usage: …\n' },
      warnings: [],
    });
  });
});

describe('a clock time', () => {
  it('has the day only when it is another one', () => {
    const now = new Date(2026, 0, 2, 12, 0, 0);
    expect(clockTime(new Date(2026, 0, 2, 9, 5, 7).toISOString(), now.getTime())).toBe('09:05:07');
    expect(clockTime(new Date(2025, 11, 31, 9, 5, 7).toISOString(), now.getTime())).toBe('2025-12-31 09:05');
  });
});

describe('ago', () => {
  it('speaks of minutes, hours and days', () => {
    const now = Date.parse('2026-01-02T00:00:00.000Z');
    expect(ago('2026-01-01T23:59:30.000Z', now)).toBe('just now');
    expect(ago('2026-01-01T23:15:00.000Z', now)).toBe('45 min ago');
    expect(ago('2026-01-01T12:00:00.000Z', now)).toBe('12 h ago');
    expect(ago('2025-12-20T00:00:00.000Z', now)).toBe('13 d ago');
  });
});
