import type childProcess from 'node:child_process';
import type dgram from 'node:dgram';
import type dns from 'node:dns/promises';
import type fs from 'node:fs';
import type net from 'node:net';
import type os from 'node:os';

/** What an attack may reach for: all that a hostile package could import. */
export interface Tools {
  fs: typeof fs;
  net: typeof net;
  dgram: typeof dgram;
  dns: typeof dns;
  os: typeof os;
  childProcess: typeof childProcess;
}

/** One attack: runs inside the sandbox, as text, so it sees nothing of the file it is written in. */
export type Attack<Given> = (tools: Tools, given: Given) => unknown;

/** What became of an attack: what it got, or the code of the error it met. */
export type Answer = { got: unknown } | { refused: string };

/** A package's program that tries each attack in turn and prints the answers as JSON. */
export function attackProgram<Given>(attacks: Readonly<Record<string, Attack<Given>>>, given: Given): string {
  const entries = Object.entries(attacks).map(
    ([name, attack]) => `${JSON.stringify(name)}: ${attack.toString()},`,
  );
  return `
import fs from 'node:fs';
import net from 'node:net';
import dgram from 'node:dgram';
import dns from 'node:dns/promises';
import os from 'node:os';
import childProcess from 'node:child_process';
const tools = { fs, net, dgram, dns, os, childProcess };
const attacks = {
${entries.join('\n')}
};
const answers = {};
for (const [name, attack] of Object.entries(attacks)) {
  try {
    answers[name] = { got: (await attack(tools, ${JSON.stringify(given)})) ?? null };
  } catch (error) {
    answers[name] = { refused: error.code ?? error.message };
  }
}
process.stdout.write(JSON.stringify(answers), () => process.exit(0));
`;
}
