#!/usr/bin/env node
// Plain JavaScript, so that an old Node and a missing build are answered with a sentence, not a stack.
import { existsSync } from 'node:fs';

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
const main = new URL('../dist/cli/main.js', import.meta.url);

if (major < 20 || (major === 20 && minor < 19)) {
  process.stderr.write(
    `berth needs Node 20.19 or newer; this is ${process.versions.node} (${process.execPath}).\n`,
  );
  process.exitCode = 1;
} else if (!existsSync(main)) {
  process.stderr.write('berth is not built yet. Run this in its folder: npm ci\n');
  process.exitCode = 1;
} else {
  const { main: berth } = await import(main.href);
  await berth(process);
}
