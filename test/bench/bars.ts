import { table } from './table.ts';

/** What Berth holds itself to, printed at the end with what was measured. */
export interface Bars {
  atLeast(claim: string, measured: number, bound: number): void;
  atMost(claim: string, measured: number, bound: number, unit?: string): void;
  /** A bar that this run could not measure; it does not count as held. */
  unmeasured(claim: string, why: string): void;
  print(): void;
}

/** Collects bars; none of them ends the run, for a machine that is shared can miss any of them. */
export function collectBars(): Bars {
  const rows: string[][] = [];
  const add = (claim: string, measured: string, bound: string, holds: boolean) =>
    rows.push([claim, measured, bound, holds ? 'pass' : 'FAIL']);
  return {
    atLeast: (claim, measured, bound) =>
      add(claim, figure(measured), `>= ${figure(bound)}`, measured >= bound),
    atMost: (claim, measured, bound, unit = '') =>
      add(claim, `${figure(measured)}${unit}`, `<= ${bound}${unit}`, measured <= bound),
    unmeasured: (claim, why) => rows.push([claim, why, '', 'not measured']),
    print: () => table('Bars', ['', 'measured', 'bar', ''], rows),
  };
}

function figure(value: number): string {
  return value.toFixed(Math.abs(value) >= 100 ? 1 : 2);
}
