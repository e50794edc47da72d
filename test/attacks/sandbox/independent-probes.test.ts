import { execFile } from 'node:child_process';
import { chmod, copyFile, readFile, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { tempFolder } from '../../support/temp-folder.ts';
import { verifies } from '../../support/verifies.ts';
import { type Form, FORM_NAMES_WITH_CONTAINERS, openForm } from './forms.ts';

/** What the probes print of an attack that worked. */
const WORKED = new Set(['0', 'worked']);
const MEGABYTE = 1024 * 1024;

const probe = (name: string) => join(import.meta.dirname, 'probes', name);

/** What a probe printed, by the name of the attack. */
type Answers = ReadonlyMap<string, string>;

/**
 * Written from the list of attacks and not from how the sandbox is built: a static C program and a Python program, each
 * trying everything that its language makes easy.
 */
describe.each(FORM_NAMES_WITH_CONTAINERS)('probes in other languages, the hub being %s', (name) => {
  let form: Form;
  let server: Server;
  let abstract: Server;
  let args: string[];

  beforeAll(async () => {
    form = await openForm(name);
    server = await listening({ port: 0, host: '::' });
    const { port } = server.address() as { port: number };
    const abstractSocket = `berth-probe-${process.pid}-${form.hubPid}`;
    abstract = await listening({ path: `\0${abstractSocket}` });
    args = [form.home, form.neighbour, String(form.hubPid), String(port), abstractSocket];
  });
  afterAll(async () => {
    server.close();
    abstract.close();
    await form.close();
  });

  it('a static C program gets nowhere', verifies('sandbox.independent-probes'), async () => {
    const folder = await tempFolder();
    const program = join(folder, 'attack');
    await promisify(execFile)('gcc', ['-static', '-O1', '-Wall', '-Werror', '-o', program, probe('table.c')]);
    const plan = await form.plan(
      { attack: await readFile(program) },
      { runtime: { kind: 'binary', entry: 'attack', args } },
    );
    const { stdout, stderr, exit } = await form.run(plan);
    expect({ stderr, exit }).toEqual({ stderr: '', exit: { code: 0, signal: null } });
    const answers = answersOf(stdout);
    expect(answers.size).toBeGreaterThan(110);
    expect(thatWorked(answers)).toEqual([]);
    const counted = (title: string) => Number(answers.get(title)?.replace(/^=/, ''));
    expect(counted('NoNewPrivs')).toBe(1);
    expect(counted('CapEff')).toBe(0);
    expect(counted('CapBnd')).toBe(0);
    expect(counted('Seccomp')).toBe(2);
    expect(counted('descriptors beyond three')).toBe(0);
    expect(counted('bytes into /tmp')).toBe(8 * MEGABYTE);
    expect(counted('bytes into /dev/shm')).toBe(16 * MEGABYTE);
    expect(counted('open files')).toBeLessThan(1024);
    expect(counted('open files')).toBeGreaterThan(500);
    expect(counted('children')).toBeLessThanOrEqual(50);
    expect(counted('children')).toBeGreaterThan(10);
  });

  it('a Python program gets nowhere', verifies('sandbox.independent-probes'), async () => {
    const plan = await form.plan({}, { runtime: { kind: 'python', entry: 'attack.py', args } });
    await copyFile(probe('table.py'), join(plan.packageDir, 'attack.py'));
    const { stdout, stderr, exit } = await form.run(plan);
    expect({ stderr, exit }).toEqual({ stderr: '', exit: { code: 0, signal: null } });
    const answers = answersOf(stdout);
    expect(answers.size).toBeGreaterThan(50);
    expect(thatWorked(answers)).toEqual([]);
  });
});

describe('the C program where nothing holds it', () => {
  it('gets far, so that its answers mean something', verifies('sandbox.independent-probes'), async () => {
    const folder = await tempFolder();
    const program = join(folder, 'attack');
    const beside = join(folder, 'beside');
    await writeFile(beside, 'not granted');
    await promisify(execFile)('gcc', ['-static', '-o', program, probe('table.c')]);
    await chmod(folder, 0o755);
    // Never as root: it would get too far. The namespaces keep it from disturbing anybody, and end what it starts.
    const account = ['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups', '--'];
    const [first = '', ...command] = [
      ...(process.getuid?.() === 0 ? account : []),
      ...['unshare', '--user', '--net', '--fork', '--pid', '--kill-child'],
      ...[program, '/', beside, '999999', '1', 'none'],
    ];
    const { stdout } = await promisify(execFile)(first, command, { cwd: '/' });
    expect(thatWorked(answersOf(Buffer.from(stdout)))).toEqual(
      expect.arrayContaining([
        'reads what lies beside the workspace',
        'starts a shell',
        'lists /sys',
        'opens a netlink socket',
        'sets up io_uring',
      ]),
    );
  });
});

function answersOf(stdout: Buffer): Answers {
  const lines = stdout.toString().trim().split('\n');
  return new Map(lines.map((line) => line.split('\t') as [string, string]));
}

function thatWorked(answers: Answers): string[] {
  return [...answers].filter(([, answer]) => WORKED.has(answer)).map(([title]) => title);
}

async function listening(where: { port: number; host: string } | { path: string }): Promise<Server> {
  const server = createServer((socket) => socket.on('error', () => undefined).end('reached'));
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(where, resolve);
  });
  return server;
}
