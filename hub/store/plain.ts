/** Without properties that are undefined, which canonical JSON has no word for. */
export function plain(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value)) as unknown;
}
