/** Fetches one JSON document; `undefined` when there is none at this address. */
export type FetchJson = (url: string) => Promise<unknown>;

const TIMEOUT_MS = 5_000;
/** Of a document of an authorization server; real ones have a few kilobytes. */
const MAX_BYTES = 256 * 1024;

/**
 * Over HTTP, within bounds of time and bytes, and never redirected: what is believed is what answers at the
 * address that was configured. @throws Error whatever else goes wrong.
 */
export const fetchJson: FetchJson = async (url) => {
  const response = await fetch(url, {
    redirect: 'error',
    signal: AbortSignal.timeout(TIMEOUT_MS),
    headers: { accept: 'application/json, application/jwk-set+json' },
  });
  if (response.status !== 200) {
    await response.body?.cancel();
    if (response.status === 404 || response.status === 410) return undefined;
    throw new Error(`${url} answered with status ${response.status}`);
  }
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length;
    if (bytes > MAX_BYTES) throw new Error(`${url} answered with more than ${MAX_BYTES} bytes`);
    chunks.push(chunk);
  }
  return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks)));
};
