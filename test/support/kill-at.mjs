// Loaded into a real `berth` with --import: after SIGUSR2 the process counts what it does to the disk (SQL statements
// that write, and file operations) and kills itself with SIGKILL right before the one that KILL_AT names. It says
// "armed" on standard error once it counts, so that a test can wait for that.
import fsPromises from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { createRequire } from 'node:module';

const killAt = Number(process.env.KILL_AT);
let steps;

function step(what) {
  if (steps === undefined) return;
  steps += 1;
  if (steps < killAt) return;
  process.stderr.write(`killed before step ${steps}: ${what}\n`);
  process.kill(process.pid, 'SIGKILL');
}

process.on('SIGUSR2', () => {
  steps = 0;
  process.stderr.write('armed\n');
});

for (const name of ['rename', 'open', 'mkdir', 'rm']) {
  const original = fsPromises[name];
  fsPromises[name] = (...args) => {
    step(`${name} ${String(args[0])}`);
    return original.apply(fsPromises, args);
  };
}
syncBuiltinESMExports();

const Sqlite = createRequire(import.meta.url)('better-sqlite3');
const prepare = Sqlite.prototype.prepare;
Sqlite.prototype.prepare = function counted(sql) {
  if (/^\s*(insert|update|delete|begin|commit)/i.test(sql)) step(sql.slice(0, 60));
  return prepare.call(this, sql);
};
