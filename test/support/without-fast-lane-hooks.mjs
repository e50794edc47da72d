const MADE = 'export function createFastLane(parts) {';

/** Gives the module of the fast lane a lane that leaves every request alone. */
export async function load(url, context, nextLoad) {
  const loaded = await nextLoad(url, context);
  if (!url.endsWith('/dist/hub/mcp/fast-lane.js')) return loaded;
  const source = String(loaded.source);
  if (!source.includes(MADE)) throw new Error(`${url} makes its lane in another way than expected.`);
  return { ...loaded, source: source.replace(MADE, `${MADE}\n    return async () => false;`) };
}
