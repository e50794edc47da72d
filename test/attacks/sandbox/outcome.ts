import type { SandboxDriver, SandboxExit, SandboxPlan } from '../../../hub/sandbox/sandbox.ts';

/** What a sandboxed program printed and how it ended. */
export interface Outcome {
  stdout: Buffer;
  stderr: string;
  exit: SandboxExit;
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
