import { once } from 'node:events';
import { resolve } from 'node:path';
import { command } from '../../command.ts';

/** `berth serve registry` */
export const serveRegistry = command({
  name: 'serve registry',
  group: 'Servers',
  summary: 'Run the registry alone',
  arguments: {},
  options: {
    port: { type: 'number', min: 0, max: 65_535, value: 'N', about: 'port to listen on (4751)' },
    config: { type: 'text', value: 'FILE', about: 'settings as JSON (registry.json in the home)' },
  },
  examples: ['berth serve registry --port 4751'],
  endsItself: true,
  async run(context, { port, config }) {
    const { pointTo, startRegistryHere } = await import('../../servers-here.ts');
    const registry = await startRegistryHere(context, {
      port,
      file: config === undefined ? undefined : resolve(context.workingDirectory, config),
    });
    const data = { registry: registry.url };
    const forget = await pointTo(context, 'registry', data);
    context.stdout.write(
      context.json ? `${JSON.stringify({ ok: true, data, warnings: [] })}\n` : `${registry.url}\n`,
    );
    if (!context.json)
      context.stderr.write('With the same BERTH_HOME, berth administers it. Ctrl-C stops the registry.\n');
    if (!context.signal.aborted) await once(context.signal, 'abort');
    await forget();
    await registry.stop();
    return undefined;
  },
});
