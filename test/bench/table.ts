/** Prints a table in Markdown, as `docs/benchmarks.md` keeps it. */
export function table(title: string, head: readonly string[], rows: readonly (readonly string[])[]): void {
  const widths = head.map((cell, at) => Math.max(cell.length, ...rows.map((row) => row[at]?.length ?? 0)));
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join(' | ')} |`;
  const rule = line(widths.map((width) => '-'.repeat(width)));
  console.log([`**${title}**`, '', line(head), rule, ...rows.map(line), ''].join('\n'));
}

/** `71 %` of the baseline. */
export function percent(value: number, baseline: number): string {
  return `${((value / baseline) * 100).toFixed(value < baseline / 10 ? 1 : 0)} %`;
}
