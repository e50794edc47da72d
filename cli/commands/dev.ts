import { command } from '../command.ts';

/** `berth dev` */
export const dev = command({
  name: 'dev',
  group: 'Write skills',
  summary: 'Run a skill in the sandbox as you write it, and see what it is refused',
  arguments: { dir: { about: 'folder of the skill' } },
  options: {
    workspace: { type: 'text', value: 'DIR', about: 'the folder that ${workspace} stands for' },
    folder: {
      type: 'list',
      value: 'KEY=DIR',
      about: 'the folder that ${config.KEY} stands for (repeatable)',
    },
    set: { type: 'list', value: 'KEY=VALUE', about: 'a config value (repeatable)' },
    call: {
      type: 'list',
      value: 'TOOL JSON',
      about: 'call a tool (repeatable); without a terminal it then ends',
    },
    stdio: { type: 'flag', about: 'be an MCP server on a pipe, for a client’s settings' },
    record: {
      type: 'flag',
      about: 'open the named folders to the skill, and write the least manifest of what it used',
    },
    allowHost: {
      type: 'list',
      value: 'NAME[:PORT][/PROTOCOL][=ADDRESS]',
      about: 'with --record: open this host (repeatable)',
    },
    allowProgram: { type: 'list', value: 'NAME', about: 'with --record: open this program (repeatable)' },
    allowEnv: { type: 'list', value: 'NAME', about: 'with --record: pass this variable on (repeatable)' },
    allowSeen: { type: 'flag', about: 'with --record: open hosts and programs as they are asked for' },
  },
  examples: [
    'berth dev hello',
    `berth dev hello --call 'greet {"name": "Ada"}'`,
    'berth dev notes --workspace ~/notes --record',
    `berth dev notes --workspace ~/notes --record --allow-seen --call 'summarise {}'`,
  ],
  endsItself: true,
  async run(context, given) {
    const { develop } = await import('../dev/develop.ts');
    return develop(context, given);
  },
});
