import { Argument, Command as Parser, CommanderError, InvalidArgumentError, Option } from 'commander';
import { type ArgumentSpec, GROUPS, type Command, type OptionSpec } from './command.ts';
import { COMMANDS } from './commands.ts';
import { exitCodesHelp } from './output.ts';

/** What a command line asks for: a command with what it is given, or a text to show. */
export type Invocation =
  | { command: Command; given: Record<string, unknown>; globals: Record<string, string | undefined> }
  | { help: string }
  | { version: true };

/** Options that every command takes. `--json` is read from the command line before it is parsed. */
const GLOBAL_OPTIONS: readonly { flags: string; about: string }[] = [
  { flags: '--json', about: 'answer with one JSON object on stdout' },
  { flags: '--home <DIR>', about: "Berth's home (BERTH_HOME)" },
  { flags: '--registry <URL>', about: 'another registry (BERTH_REGISTRY)' },
  { flags: '--hub <unix:PATH>', about: "another hub's admin socket (BERTH_HUB)" },
];

const GLOBALS_HEADING = 'Everywhere:';

const ROOT_EPILOGUE = `
${GLOBALS_HEADING}
${GLOBAL_OPTIONS.map(({ flags, about }) => `  ${flags.padEnd(20)} ${about}`).join('\n')}

berth <command> --help shows examples; berth help exit-codes lists the exit codes.`;

/** Makes the parser from the commands. Cheap: nothing that a command needs to run is loaded here. */
export function buildProgram(): {
  parse(argv: readonly string[]): Promise<Invocation>;
  /** The command that shows help nearest to a faulty command line. */
  helpFor(argv: readonly string[]): string;
} {
  let written = '';
  let invocation: Invocation | undefined;
  let helped: Parser | undefined;
  let versionAsked = false;
  /** How many words stand behind `--`. */
  let behindDashes = 0;
  const root = new Parser('berth');
  const nodes = new Map<string, Parser>([['', root]]);

  const nodeFor = (words: string): Parser => {
    const known = nodes.get(words);
    if (known !== undefined) return known;
    const at = words.lastIndexOf(' ');
    const parent = nodeFor(words.slice(0, Math.max(at, 0)));
    const node = new Parser(words.slice(at + 1));
    configure(node, (text) => (written += text));
    node.addHelpText('before', () => noteHelp(node));
    parent.addCommand(node);
    nodes.set(words, node);
    return node;
  };

  const noteHelp = (node: Parser): string => {
    helped = node;
    return '';
  };

  configure(root, (text) => (written += text));
  root.addHelpText('before', () => noteHelp(root));
  root.description(
    'Berth docks agent skills: signed packages, run in a sandbox, under permissions you approved.',
  );
  root.usage('<command> [options]');
  for (const command of COMMANDS) {
    const node = nodeFor(command.name);
    // Bare `berth` has no action: with one, a mistyped command would count as its argument.
    if (command.name === '') continue;
    describe(node, command);
    for (const [name, spec] of Object.entries(command.arguments)) node.addArgument(argumentOf(name, spec));
    for (const [name, spec] of Object.entries(command.options)) node.addOption(optionOf(name, spec));
    addGlobals(node);
    node.action((...all: unknown[]) => {
      const names = Object.keys(command.arguments);
      const received = takesRest(command) ? apart(names.length, node.args, behindDashes) : all;
      const options = node.opts<Record<string, unknown>>();
      invocation = {
        command,
        given: {
          ...Object.fromEntries(names.map((name, at) => [name, received[at]])),
          ...Object.fromEntries(
            Object.entries(command.options).map(([name, spec]) => [name, options[name] ?? emptyOf(spec)]),
          ),
        },
        globals: globalsOf(node),
      };
    });
  }
  for (const [words, node] of nodes)
    if (!COMMANDS.some(({ name }) => name === words)) describeGroup(node, words);
  for (const { flags, about } of GLOBAL_OPTIONS) root.addOption(new Option(flags, about).hideHelp());
  root.addHelpOption(new Option('-h, --help').hideHelp());
  root.addOption(new Option('-V, --version').hideHelp());
  root.on('option:version', () => (versionAsked = true));
  root.addHelpText('after', ROOT_EPILOGUE);
  addHelpCommand(root, nodes, (text) => (invocation = { help: text }));

  return {
    async parse(argv) {
      behindDashes = argv.includes('--') ? argv.length - argv.indexOf('--') - 1 : 0;
      try {
        await root.parseAsync(argv, { from: 'user' });
      } catch (error) {
        if (error instanceof CommanderError && error.code === 'commander.helpDisplayed')
          return { help: written };
        if (error instanceof CommanderError && error.code === 'commander.help') {
          if (versionAsked) return { version: true };
          const bare = COMMANDS.find(({ name }) => name === '');
          if (helped === root && bare !== undefined)
            return { command: bare, given: {}, globals: globalsOf(root) };
          throw new CommanderError(
            2,
            'commander.missingCommand',
            'error: A word is missing after this command.',
          );
        }
        throw error;
      }
      if (versionAsked) return { version: true };
      if (invocation === undefined)
        throw new CommanderError(2, 'commander.missingCommand', 'error: no command');
      return invocation;
    },
    helpFor(argv) {
      const words = argv.filter((word) => !word.startsWith('-'));
      for (let count = words.length; count > 0; count -= 1) {
        const path = words.slice(0, count).join(' ');
        if (nodes.has(path)) return `berth ${path} --help`;
      }
      return 'berth --help';
    },
  };
}

function configure(node: Parser, write: (text: string) => void): void {
  node
    .exitOverride()
    .helpCommand(false)
    .addHelpOption(new Option('-h, --help', 'show this').helpGroup(GLOBALS_HEADING))
    .showSuggestionAfterError(true)
    .allowExcessArguments(false)
    .configureHelp({ sortSubcommands: false, helpWidth: 100, subcommandTerm: termOf })
    .configureOutput({ writeOut: write, writeErr: () => undefined, getOutHasColors: () => false });
}

/** A command in a list: its name, its other name, its arguments. */
function termOf(node: Parser): string {
  const names = [node.name(), ...node.aliases()].join(', ');
  const words = node.registeredArguments.map((argument) =>
    argument.required ? `<${argument.name()}>` : `[${argument.name()}${argument.variadic ? '...' : ''}]`,
  );
  return [names, ...words].join(' ');
}

function describe(node: Parser, command: Command): void {
  node
    .summary(command.summary)
    .description(command.summary)
    .aliases([...(command.aliases ?? [])]);
  if (!command.name.includes(' ')) node.helpGroup(`${command.group}:`);
  node.addHelpText('after', `\nExamples:\n${command.examples.map((example) => `  ${example}`).join('\n')}`);
}

/** A word that only leads to others, such as `audit`. */
function describeGroup(node: Parser, words: string): void {
  const inside = COMMANDS.filter(({ name }) => name.startsWith(`${words} `));
  const verbs = inside.map(({ name }) => name.slice(words.length + 1)).join(', ');
  node
    .summary(`${inside[0]?.groupSummary ?? ''} (${verbs})`.trim())
    .description(inside[0]?.groupSummary ?? '');
  node.helpGroup(`${inside[0]?.group ?? GROUPS[0]}:`);
}

function argumentOf(name: string, spec: ArgumentSpec): Argument {
  if (spec.rest === true) return new Argument(`[${name}...]`, spec.about);
  return new Argument(spec.optional === true ? `[${name}]` : `<${name}>`, spec.about);
}

function takesRest(command: Command): boolean {
  return Object.values(command.arguments).some(({ rest }) => rest === true);
}

/** Words before `--` are arguments, those behind it the last one; the parser takes the two for one list. */
function apart(count: number, words: readonly string[], behind: number): unknown[] {
  const before = words.slice(0, words.length - behind);
  if (before.length >= count) {
    throw new CommanderError(
      2,
      'commander.excessArguments',
      `error: too many arguments: ${before.slice(count - 1).join(' ')}. A command stands behind --`,
    );
  }
  const named = Array.from({ length: count - 1 }, (_, at) => before[at]);
  return [...named, words.slice(words.length - behind)];
}

function optionOf(name: string, spec: OptionSpec): Option {
  const flag = `--${name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
  const short = 'short' in spec && spec.short !== undefined ? `-${spec.short}, ` : '';
  if (spec.type === 'flag') return new Option(`${short}${flag}`, spec.about);
  const option = new Option(`${short}${flag} <${spec.value}>`, spec.about);
  if (spec.type === 'list') {
    option.argParser((value: string, previous: string[] | undefined) => [...(previous ?? []), value]);
  }
  if (spec.type === 'number') option.argParser((text: string) => wholeNumber(text, spec));
  return option;
}

function wholeNumber(text: string, { min, max }: { min: number; max: number }): number {
  const number = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (number >= min && number <= max) return number;
  throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`);
}

function emptyOf(spec: OptionSpec): unknown {
  return spec.type === 'flag' ? false : spec.type === 'list' ? [] : undefined;
}

function addGlobals(node: Parser): void {
  for (const { flags, about } of GLOBAL_OPTIONS) {
    node.addOption(new Option(flags, about).helpGroup(GLOBALS_HEADING));
  }
}

/** What was said of home and servers, before or behind the words of the command; the latter wins. */
function globalsOf(node: Parser): Record<string, string | undefined> {
  const path: Parser[] = [];
  for (let at: Parser | null = node; at !== null; at = at.parent) path.unshift(at);
  const said = Object.assign({}, ...path.map((parser) => parser.opts())) as Record<
    string,
    string | undefined
  >;
  return { home: said['home'], registry: said['registry'], hub: said['hub'] };
}

/** `berth help [words]`: the same texts as `--help`, and topics that belong to no command. */
function addHelpCommand(
  root: Parser,
  nodes: ReadonlyMap<string, Parser>,
  answer: (text: string) => void,
): void {
  const help = new Parser('help')
    .summary('Show help for a command or a topic (exit-codes)')
    .argument('[words...]', 'the words of a command, or exit-codes')
    .exitOverride()
    .helpGroup(`${GROUPS[0]}:`)
    .action((words: string[]) => {
      const path = words.join(' ');
      if (path === 'exit-codes') return answer(`${exitCodesHelp()}\n`);
      const node = nodes.get(path);
      if (node === undefined)
        throw new CommanderError(2, 'commander.unknownCommand', `error: no command '${path}'`);
      // The text that `addHelpText` appends is written only by `outputHelp`.
      let text = '';
      node.configureOutput({ writeOut: (piece) => (text += piece), writeErr: () => undefined });
      node.outputHelp();
      answer(text);
    });
  root.addCommand(help);
}
