import { configKeyOf, headerOf } from './declared.ts';
import { heldBackIn } from './held-back.ts';
import { hostAndPort } from './hosts.ts';
import type { FilePermission, NetworkPermission, Permissions, Resources, SecretPermission } from './shape.ts';

const PROTOCOL_WORDS = { tls: 'encrypted', http: 'unencrypted HTTP', tcp: 'any TCP protocol' } as const;

/** What an admin should know who sees a skill sent to an address of this kind. */
function addressWords(address: string): string {
  if (/^127\.|^0\.|^::1?$/.test(address)) return ', an address of this machine';
  if (/^10\.|^192\.168\.|^172\.(?:1[6-9]|2\d|3[01])\.|^f[cd]/i.test(address)) return ', a private address';
  if (/^169\.254\.|^fe[89ab]/i.test(address)) return ', an address of the local link';
  return '';
}

/** What follows "It can": one permission in plain words. */
export const words = {
  network({ host, port, protocol, address }: NetworkPermission): string {
    const key = configKeyOf(host);
    const where = host.startsWith('*.')
      ? `any host below ${host.slice(2)}, port ${port},`
      : key === undefined
        ? hostAndPort(host, port)
        : `hosts that you name for ${key}, port ${port},`;
    const place = address === undefined ? '' : ` at ${address}${addressWords(address)}`;
    return `connect to ${where} (${PROTOCOL_WORDS[protocol]})${place}`;
  },
  filesystem({ path, mode }: FilePermission): string {
    return mode === 'rw' ? `read and write files in ${path}` : `read files in ${path}`;
  },
  secret({ name, inject }: SecretPermission): string {
    const header = headerOf(inject);
    if (header !== undefined) {
      return `have the secret ${name} sent to ${header.host} in the header ${header.header}, without seeing it`;
    }
    return `read the secret ${name} (${inject === 'file' ? 'as a file' : 'in its environment'})`;
  },
  env: (name: string) => `see the environment variable ${name}`,
  subprocess: (program: string) => `run the program ${program}`,
  background: () => 'use its permissions between calls',
  sampling: () => "have the client's model write text",
  elicitation: () => 'ask the user questions',
  roots: () => 'see which folders the client has open',
  resources({ memoryMb, cpus, pids, timeoutMs, diskMb }: Resources): string {
    return (
      `use up to ${memoryMb} MB of memory, ${cpus} ${cpus === 1 ? 'processor' : 'processors'}, ` +
      `${pids} processes, ${diskMb} MB of scratch space and ${timeoutMs / 1000} s a call`
    );
  },
};

/** A tool with the answer that an admin gave, or is about to give. */
export interface ToolAnswer {
  name: string;
  answer: 'allow' | 'ask' | 'deny';
  effects: readonly string[];
  /** Whether the sandbox holds it to reading; absent where that is not known. */
  enforced?: boolean;
}

/** Permissions as an admin reads them. */
export interface Description {
  can: string[];
  cannot: string[];
  asksFirst: string[];
}

const EFFECT_WORDS: Readonly<Record<string, string>> = {
  read: 'reads',
  create: 'creates',
  update: 'updates',
  destroy: 'destroys',
  send: 'sends',
  spend: 'spends money',
  run: 'runs programs',
};

/**
 * The permissions and the answers for tools as sentences, such as "It can read files in ${workspace}",
 * "It cannot reach the network", "It asks first: delete_note (destroys)".
 * What is not said under `can` is impossible; `cannot` spells out what people wonder about.
 */
export function describe(permissions: Permissions, tools: readonly ToolAnswer[] = []): Description {
  return {
    can: [...abilities(permissions).map((ability) => `It can ${ability}`), ...withoutAsking(tools)],
    cannot: [
      ...inabilities(permissions).map((inability) => `It cannot ${inability}`),
      ...tools
        .filter(({ answer }) => answer === 'deny')
        .map(({ name }) => `It cannot use ${name} (turned off)`),
    ],
    asksFirst: tools
      .filter(({ answer }) => answer === 'ask')
      .map((tool) => `It asks first: ${nameWithEffects(tool)}`),
  };
}

function abilities(permissions: Permissions): string[] {
  return [
    ...permissions.filesystem.map(words.filesystem),
    ...permissions.network.map(words.network),
    ...permissions.secrets.map(words.secret),
    ...permissions.env.map(words.env),
    ...permissions.subprocess.map(words.subprocess),
    ...(permissions.background ? [words.background()] : []),
    ...(permissions.mcp.sampling ? [words.sampling()] : []),
    ...(permissions.mcp.elicitation ? [words.elicitation()] : []),
    ...(permissions.mcp.roots ? [words.roots()] : []),
    words.resources(permissions.resources),
  ];
}

function inabilities(permissions: Permissions): string[] {
  const writes = permissions.filesystem.some(({ mode }) => mode === 'rw');
  return [
    ...(permissions.filesystem.length === 0 ? ['read or write any of your files'] : []),
    ...(permissions.filesystem.length > 0 ? ['read any other files'] : []),
    ...(permissions.filesystem.length > 0 && !writes ? ['change any file'] : []),
    ...permissions.filesystem.flatMap((entry) => heldBackWords(entry, permissions)),
    permissions.network.length === 0 ? 'reach the network' : 'reach any other host',
    ...(permissions.secrets.length === 0 ? ['read any secret'] : []),
    ...(permissions.subprocess.length === 0 ? ['run other programs'] : []),
    ...(permissions.background ? [] : ['do anything between calls']),
  ];
}

function withoutAsking(tools: readonly ToolAnswer[]): string[] {
  const allowed = tools.filter(({ answer }) => answer === 'allow');
  const readers = allowed.filter(({ effects }) => effects.every((effect) => effect === 'read'));
  const others = allowed.filter((tool) => !readers.includes(tool));
  return [
    ...[true, false, undefined].flatMap((held) => {
      const named = readers.filter(({ enforced }) => enforced === held).map(({ name }) => name);
      if (named.length === 0) return [];
      return [
        `It can read without asking${held === undefined ? '' : ` (${assurance(held)})`}: ${named.join(', ')}`,
      ];
    }),
    ...others.map((tool) => `It can act without asking: ${nameWithEffects(tool)}`),
  ];
}

function nameWithEffects({ name, effects, enforced }: ToolAnswer): string {
  const words = effects.map((effect) => EFFECT_WORDS[effect] ?? effect).join(', ');
  return `${name} (${words}${enforced === undefined ? '' : `; ${assurance(enforced)}`})`;
}

/** Whether what a tool does is the sandbox's word or its author's. */
export function assurance(enforced: boolean): 'enforced' | 'declared' {
  return enforced ? 'enforced' : 'declared';
}

/** What a grant to write leaves out: files that other programs run by themselves. */
function heldBackWords({ path, mode }: FilePermission, { filesystem }: Permissions): string[] {
  if (mode !== 'rw' || path.startsWith('${data}')) return [];
  const named = new Set(filesystem.filter((other) => other.mode === 'rw').map((other) => other.path));
  const left = heldBackIn(path.split('/'))
    .map(({ below }) => below.join('/'))
    .filter((below) => !named.has(`${path}/${below}`));
  return left.length === 0
    ? []
    : [`change what other programs run by themselves in ${path}: ${left.join(', ')}`];
}
