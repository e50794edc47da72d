import { command } from '../command.ts';

/** `berth proxy` */
export const proxy = command({
  name: 'proxy',
  group: 'Use skills',
  summary: 'Connect a client that speaks MCP on a pipe; it is what its settings start',
  arguments: {},
  options: {
    client: {
      type: 'text',
      value: 'NAME',
      about: 'whose token of this home to use; the only one when left out',
    },
    skill: {
      type: 'text',
      value: 'NAMESPACE/NAME',
      about: 'offer this one skill under its own names; all skills when left out',
    },
  },
  examples: ['berth proxy --client claude', 'berth proxy --client claude --skill dev.berth/files'],
  endsItself: true,
  async run(context, { client: named, skill }) {
    const [{ chosenClient, clientToken }, { bridge }, { hubTransports }, { ownHub }, { skillPath }] =
      await Promise.all([
        import('../client-tokens.ts'),
        import('../proxy/bridge.ts'),
        import('../proxy/transports.ts'),
        import('../servers.ts'),
        import('../proxy/skill-path.ts'),
      ]);
    const { home, stdin, stdout, stderr, signal } = context;
    const client = await chosenClient(home, named);
    await bridge({
      input: stdin,
      output: stdout,
      say: (text) => void stderr.write(`berth proxy: ${text}\n`),
      connect: hubTransports({
        path: skillPath(skill),
        hub: () => ownHub(home),
        token: () => clientToken(home, client),
      }),
      signal,
    });
    return undefined;
  },
});
