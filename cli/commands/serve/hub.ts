import { once } from 'node:events';
import { resolve } from 'node:path';
import { command } from '../../command.ts';

/** `berth serve hub` */
export const serveHub = command({
  name: 'serve hub',
  group: 'Servers',
  groupSummary: 'One server alone',
  summary: 'Run the hub alone, with skills from --registry',
  arguments: {},
  options: {
    port: { type: 'number', min: 0, max: 65_535, value: 'N', about: 'port to listen on (4750)' },
    config: { type: 'text', value: 'FILE', about: 'settings as JSON (hub.json in the home)' },
  },
  examples: ['berth serve hub --registry https://registry.example.org'],
  endsItself: true,
  async run(context, { port, config }) {
    const { pointTo, startHubHere } = await import('../../servers-here.ts');
    const hub = await startHubHere(context, {
      port,
      registry: context.settings.registry,
      file: config === undefined ? undefined : resolve(context.workingDirectory, config),
    });
    const data = { hub: hub.url, mcp: hub.mcp, registry: hub.registry };
    const forget = await pointTo(context, 'hub', data);
    context.stdout.write(
      context.json ? `${JSON.stringify({ ok: true, data, warnings: [] })}\n` : `${hub.mcp}\n`,
    );
    if (!context.json) context.stderr.write(`Skills come from ${hub.registry}. Ctrl-C stops the hub.\n`);
    if (!context.signal.aborted) await once(context.signal, 'abort');
    if (!context.json)
      context.stderr.write('Stopping: calls in flight may finish. Ctrl-C again breaks them off.\n');
    await forget();
    await hub.stop(context.hasten);
    return undefined;
  },
});
