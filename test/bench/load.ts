import { Agent, request } from 'node:http';
import { performance } from 'node:perf_hooks';

/** What a run of one client, or of several at once, came to. */
export interface Load {
  calls: number;
  callsPerSecond: number;
  p50Ms: number;
  p99Ms: number;
}

const WARM_UP_MS = 700;
const MEASURED_MS = 2_000;

/** Calls again and again from `clients` loops at once, first to warm up; a failed call ends the run. */
export async function load(
  clients: number,
  call: () => Promise<void>,
  onWarm?: () => Promise<void>,
): Promise<Load> {
  await loops(clients, call, WARM_UP_MS);
  await onWarm?.();
  const started = performance.now();
  const times = await loops(clients, call, MEASURED_MS);
  const seconds = (performance.now() - started) / 1000;
  const sorted = times.toSorted((a, b) => a - b);
  const at = (part: number) =>
    sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN;
  return { calls: times.length, callsPerSecond: times.length / seconds, p50Ms: at(0.5), p99Ms: at(0.99) };
}

async function loops(clients: number, call: () => Promise<void>, ms: number): Promise<number[]> {
  const times: number[] = [];
  const until = performance.now() + ms;
  const loop = async () => {
    while (performance.now() < until) {
      const started = performance.now();
      await call();
      times.push(performance.now() - started);
    }
  };
  await Promise.all(Array.from({ length: clients }, loop));
  return times;
}

/** A plain HTTP client with kept connections: what is measured is the server. */
export function poster(url: string, headers: Record<string, string>) {
  const agent = new Agent({ keepAlive: true, maxSockets: 256 });
  const post = (body: unknown, more: Record<string, string> = {}) =>
    new Promise<{ text: string; sessionId: string | undefined }>((resolve, reject) => {
      const bytes = JSON.stringify(body);
      const outgoing = request(
        url,
        {
          method: 'POST',
          agent,
          headers: {
            'content-type': 'application/json',
            accept: 'application/json, text/event-stream',
            'content-length': Buffer.byteLength(bytes),
            ...headers,
            ...more,
          },
        },
        (incoming) => {
          const chunks: Buffer[] = [];
          incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
          incoming.on('error', reject);
          incoming.on('end', () => {
            const text = Buffer.concat(chunks).toString('utf8');
            if ((incoming.statusCode ?? 500) >= 300)
              reject(new Error(`${incoming.statusCode}: ${text.slice(0, 500)}`));
            else resolve({ text, sessionId: incoming.headers['mcp-session-id'] as string | undefined });
          });
        },
      );
      outgoing.on('error', reject);
      outgoing.end(bytes);
    });
  return { post, close: () => agent.destroy() };
}
