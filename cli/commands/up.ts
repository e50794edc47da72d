import { once } from 'node:events';
import { command, type Context } from '../command.ts';
import type { Up } from '../up.ts';

/** `berth up` */
export const up = command({
  name: 'up',
  group: 'Start here',
  summary: 'Start registry and hub on this machine, until Ctrl-C',
  arguments: {},
  options: {
    hubPort: {
      type: 'number',
      min: 0,
      max: 65_535,
      value: 'N',
      about: 'port of the hub (4750); 0 takes any free one',
    },
    registryPort: {
      type: 'number',
      min: 0,
      max: 65_535,
      value: 'N',
      about: 'port of the registry (4751); 0 takes any free one',
    },
  },
  examples: ['berth up', 'berth up --json --hub-port 0 --registry-port 0'],
  endsItself: true,
  async run(context, { hubPort, registryPort }) {
    const { startUp } = await import('../up.ts');
    const running = await startUp(context, { hub: hubPort, registry: registryPort });
    const { urls, warnings } = running;
    const say = eventWriter(context);
    if (context.json) {
      // The URLs stand where a script of one line looks for them, and in the envelope like every other answer.
      context.stdout.write(`${JSON.stringify({ ...urls, ok: true, data: urls, warnings })}\n`);
    } else {
      const { waysToRun } = await import('../ways-to-run.ts');
      context.stdout.write(readyText(context, running, await waysToRun(context)));
    }
    if (!context.signal.aborted) await once(context.signal, 'abort');
    say('stopping');
    await running.stop(context.hasten);
    say('stopped');
    return undefined;
  },
});

/** What happens after the ready line, one JSON object a line. */
function eventWriter(context: Context): (event: 'stopping' | 'stopped') => void {
  return (event) => {
    if (context.json) context.stdout.write(`${JSON.stringify({ event, time: new Date().toISOString() })}\n`);
    else if (event === 'stopping')
      context.stderr.write('Stopping: calls in flight may finish. Ctrl-C again breaks them off.\n');
  };
}

function readyText(
  context: Context,
  { urls, firstRun, skills, warnings }: Up,
  first: readonly string[],
): string {
  const { paint } = context;
  return [
    `${paint.good('Berth is up.')}${firstRun ? ' This was the first time: your signing key and the admin token are made.' : ''}`,
    `  hub       ${urls.mcp}`,
    `  registry  ${urls.registry}${skills.length === 0 ? '' : `, with ${skills.length} skills of Berth's own`}`,
    `  home      ${context.home}`,
    ...warnings.map((warning) => `${paint.warn('warning:')} ${warning}`),
    '',
    'Next, in another terminal:',
    ...first.map((line) => `  ${line}`),
    '  mkdir -p notes && berth install dev.berth/files --yes --workspace notes',
    "  berth call files list '{}'",
    '  berth clients add claude        # prints what to paste into an MCP client',
    '  berth init hello && berth publish hello',
    '',
  ].join('\n');
}
