import { createStrace } from '../../../hub/sandbox/strace.ts';
import type { Seen } from '../../../hub/sandbox/trace-call.ts';
import type { SandboxDriver, SandboxExit, SandboxPlan } from '../../../hub/sandbox/sandbox.ts';

/** What a sandboxed program printed and how it ended. */
export interface Outcome {
  stdout: Buffer;
  stderr: string;
  exit: SandboxExit;
  /** What was seen of it, where it was watched. */
  seen?: readonly Seen[];
}

/** Starts the plan with an empty standard input and waits for its end. */
export async function outcomeOf(driver: SandboxDriver, plan: SandboxPlan): Promise<Outcome> {
  const process = await driver.start(plan);
  process.stdin.end();
  const [stdout, stderr, exit] = await Promise.all([
    bytes(process.stdout),
    bytes(process.stderr),
    process.exited,
  ]);
  return { stdout, stderr: stderr.toString(), exit };
}

async function bytes(stream: AsyncIterable<unknown>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(Buffer.from(chunk as Uint8Array));
  return Buffer.concat(chunks);
}

/** What a driver is made with to see what it starts, and what was seen until now; the answer begins anew. */
export function watching(
  path: string,
  stateDir: string,
): { tracer: ReturnType<typeof createStrace>; taken(): readonly Seen[] } {
  let seen: Seen[] = [];
  return {
    tracer: createStrace({ path, stateDir, seen: (one) => seen.push(one), lost: () => undefined }),
    taken() {
      const all = seen;
      seen = [];
      return all;
    },
  };
}
