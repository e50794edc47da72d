import { readdir, readFile, readlink } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { networkInterfaces } from 'node:os';
import { dirname } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { SandboxPlan } from '../../../hub/sandbox/sandbox.ts';
import { verifies } from '../../support/verifies.ts';
import type { Answer } from './attack-program.ts';
import { type Form, FORM_NAMES, hubLike, openForm } from './forms.ts';

/** Each prints what it got, or the name of the error that it met. */
const PYTHON_ATTACKS = `
import ctypes, errno, fcntl, json, os, socket, struct, sys, urllib.request
port = int(sys.argv[1])
def family(number, kind):
    return lambda: socket.socket(number, kind) and 'opened'
def ask_interface(request, payload):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        return repr(fcntl.ioctl(s, request, payload))
address = lambda text: struct.pack('HH4s8x', socket.AF_INET, 0, socket.inet_aton(text))
def write(path, text):
    with open(path, 'w') as f: f.write(text)
def bind(at):
    with socket.socket() as s: s.bind(at)
def join_owner():
    owner = fcntl.ioctl(os.open('/proc/self/ns/net', os.O_RDONLY), NS_GET_USERNS)
    if ctypes.CDLL(None, use_errno=True).setns(owner, 0) != 0:
        raise OSError(ctypes.get_errno(), '')
    return 'joined'
NS_GET_USERNS = 0xb701
SIOCADDRT, SIOCSIFFLAGS, SIOCSIFADDR, SIOCBRADDBR, TUNSETIFF = 0x890B, 0x8914, 0x8916, 0x89a0, 0x400454ca
attacks = {
    'fetches what is allowed': lambda: urllib.request.urlopen(f'http://allowed.test:{port}/').read().decode(),
    'resolves another name': lambda: socket.gethostbyname('denied.test'),
    'opens netlink': family(16, socket.SOCK_RAW),
    'opens vsock': family(40, socket.SOCK_STREAM),
    'opens packet': family(17, socket.SOCK_RAW),
    'opens raw': family(socket.AF_INET, socket.SOCK_RAW),
    'adds an address': lambda: ask_interface(SIOCSIFADDR, struct.pack('16s', b'lo:1') + address('10.9.8.7')),
    'takes the interface down': lambda: ask_interface(SIOCSIFFLAGS, struct.pack('16sH14x', b'lo', 0)),
    'adds a route': lambda: ask_interface(SIOCADDRT, struct.pack('Q', 0) + address('0.0.0.0') + address('127.0.0.1') + address('0.0.0.0') + bytes(64)),
    'adds a bridge': lambda: ask_interface(SIOCBRADDBR, struct.pack('16s', b'br0')),
    'opens the tunnel device': lambda: os.open('/dev/net/tun', os.O_RDWR),
    'changes a setting': lambda: write('/proc/sys/net/ipv4/ip_unprivileged_port_start', '0'),
    'takes over the names': lambda: bind(('127.0.0.1', 53)),
    'joins the owner of its network': join_owner,
}
answers = {}
for name, attack in attacks.items():
    try: answers[name] = {'got': attack()}
    except OSError as e: answers[name] = {'refused': errno.errorcode.get(e.errno, type(e).__name__)}
print(json.dumps(answers))
`;

/** Tries what `process.argv[2]` lists: connections, datagrams, a local socket, and a program. */
const NODE_ATTACKS = `
import net from 'node:net';
import dgram from 'node:dgram';
import childProcess from 'node:child_process';
const said = (socket) => new Promise((resolve, reject) => {
  socket.setTimeout(5000, () => reject(new Error('timeout')));
  socket.on('connect', () => socket.write('GET / HTTP/1.0\\r\\n\\r\\n'));
  socket.on('error', reject).on('close', () => reject(new Error('closed')));
  socket.on('data', (data) => { resolve(String(data).split('\\r\\n').at(-1)); socket.destroy(); });
});
const kinds = {
  tcp: ({ host, port }) => said(net.connect({ host, port })),
  local: ({ path }) => said(net.connect({ path })),
  fetch: async ({ url }) => (await fetch(url).catch((error) => { throw error.cause ?? error; })).text(),
  udp: ({ host, port }) => new Promise((resolve, reject) => {
    const socket = dgram.createSocket(host.includes(':') ? 'udp6' : 'udp4');
    socket.on('error', reject).on('message', (answer) => resolve(String(answer)));
    // A refusal is told with the next datagram.
    socket.connect(port, host, (error) => {
      if (error) return reject(error);
      socket.send('?', () => socket.send('?', (refused) => refused && reject(refused)));
    });
  }),
  program: ({ command: [file, ...args] }) => new Promise((resolve, reject) =>
    childProcess.execFile(file, args, (error, stdout, stderr) => error ? reject(new Error(stderr || error.message)) : resolve(stdout))),
};
const answers = {};
for (const [name, { kind, ...target }] of Object.entries(JSON.parse(process.argv[2]))) {
  try { answers[name] = { got: await kinds[kind](target) }; }
  catch (error) { answers[name] = { refused: error.code ?? error.message }; }
}
process.stdout.write(JSON.stringify(answers), () => process.exit(0));
`;

/** Stays, and says so; with an argument it starts listening at that port first. */
const RESIDENT = `
import net from 'node:net';
const [, , token, port] = process.argv;
setInterval(() => {}, 1000);
const ready = () => process.stdout.write('ready ' + token);
if (port === undefined) ready(); else net.createServer((socket) => socket.end('mine')).listen(Number(port), '127.0.0.1', ready);
`;

/** The bound that a hub's death has to end everything. */
const GONE_WITHIN_MS = 2000;

describe.each(FORM_NAMES)('a skill with one host, the hub being %s', (name) => {
  let form: Form;
  let server: Server;
  let port: number;
  let agents: string[];

  beforeAll(async () => {
    form = await openForm(name);
    agents = [];
    server = createServer((request, response) => {
      agents.push(request.headers['user-agent'] ?? 'none');
      response.end('far');
    });
    port = await listening(server, '127.0.0.1');
  });
  afterAll(async () => {
    await form.close();
    await ended(server);
  });

  const withHost = (source: string, more: Partial<SandboxPlan> = {}) =>
    form.plan(
      { 'attack.mjs': source, 'attack.py': source },
      {
        network: [{ host: 'allowed.test', port, protocol: 'tcp', address: '127.0.0.1' }],
        holder: { skill: 'org.example/attack', user: 'owner', background: true },
        ...more,
      },
    );
  async function tried(targets: Record<string, object>, more: Partial<SandboxPlan> = {}) {
    const args = [JSON.stringify(targets)];
    const plan = await withHost(NODE_ATTACKS, {
      runtime: { kind: 'node', entry: 'attack.mjs', args },
      ...more,
    });
    const { stdout, stderr } = await form.run(plan);
    expect(stderr).toBe('');
    return JSON.parse(stdout.toString()) as Record<string, Answer>;
  }

  it('can be held to hosts', verifies('sandbox.hosts'), async () => {
    const { enforces, notes } = await form.report();
    expect(enforces, notes.join('\n')).toContain('hostFilter');
  });

  it('reaches it from Node and from a plain program, unchanged', verifies('sandbox.hosts'), async () => {
    const url = `http://allowed.test:${port}/`;
    expect(
      await tried(
        {
          fetch: { kind: 'fetch', url },
          tcp: { kind: 'tcp', host: 'allowed.test', port },
          curl: { kind: 'program', command: ['curl', '--silent', '--show-error', url] },
        },
        { programs: ['curl'] },
      ),
    ).toEqual({ fetch: { got: 'far' }, tcp: { got: 'far' }, curl: { got: 'far' } });
    expect(agents).toEqual(['node', 'none', expect.stringMatching(/^curl\//)]);
  });

  it('reaches nothing else', verifies('sandbox.hosts', 'sandbox.no-network'), async () => {
    const own = Object.values(networkInterfaces())
      .flat()
      .find((entry) => entry?.family === 'IPv4' && !entry.internal)?.address;
    const secret = createServer((_request, response) => response.end('secret'));
    const secretPort = await listening(secret, '::');
    const tcp = (host: string, at = secretPort) => ({ kind: 'tcp', host, port: at });
    // Without a folder of the machine, since with one it has no local sockets at all.
    const answers = await tried(
      {
        'another name': tcp('denied.test', port),
        'a name server by HTTPS': { kind: 'fetch', url: 'https://dns.google/resolve?name=secret.test' },
        'a name that carries data': tcp(`${'a'.repeat(60)}.denied.test`, port),
        'the name of the machine': tcp('localhost'),
        'another port of the host': tcp('allowed.test'),
        'the loopback of the machine': tcp('127.0.0.1'),
        'the loopback of the machine, IPv6': tcp('::1'),
        'the loopback of the machine, mapped': tcp('::ffff:127.0.0.1'),
        'any address of the machine': tcp('0.0.0.0'),
        'the allowed address itself': tcp('127.0.0.1', port),
        'an address of the machine': tcp(own ?? '10.0.0.1'),
        'the metadata service': tcp('169.254.169.254', 80),
        'the metadata service, mapped': tcp('::ffff:169.254.169.254', 80),
        'a private address': tcp('10.0.0.1', 22),
        'a public address': tcp('1.1.1.1', port),
        'a public address, IPv6': tcp('2606:4700:4700::1111', port),
        'another name server': { kind: 'udp', host: '8.8.8.8', port: 53 },
        'another name server, TCP': tcp('8.8.8.8', 53),
        'a datagram to the machine': { kind: 'udp', host: '127.0.0.1', port: secretPort },
        'the admin socket': { kind: 'local', path: `${form.home}/hub/admin.sock` },
        'a local socket without a path': { kind: 'local', path: '\0docker' },
      },
      { mounts: [] },
    );
    await ended(secret);
    expect(answers).toEqual({
      'another name': { refused: 'ENOTFOUND' },
      'a name server by HTTPS': { refused: 'ENOTFOUND' },
      'a name that carries data': { refused: 'ENOTFOUND' },
      'the name of the machine': { refused: 'ECONNREFUSED' },
      'another port of the host': { refused: 'ECONNREFUSED' },
      'the loopback of the machine': { refused: 'ECONNREFUSED' },
      'the loopback of the machine, IPv6': { refused: 'ECONNREFUSED' },
      'the loopback of the machine, mapped': { refused: 'ECONNREFUSED' },
      'any address of the machine': { refused: 'ECONNREFUSED' },
      'the allowed address itself': { refused: 'ECONNRESET' },
      'an address of the machine': { refused: 'ENETUNREACH' },
      'the metadata service': { refused: 'ENETUNREACH' },
      'the metadata service, mapped': { refused: 'ENETUNREACH' },
      'a private address': { refused: 'ENETUNREACH' },
      'a public address': { refused: 'ENETUNREACH' },
      'a public address, IPv6': { refused: 'ENETUNREACH' },
      'another name server': { refused: 'ENETUNREACH' },
      'another name server, TCP': { refused: 'ENETUNREACH' },
      'a datagram to the machine': { refused: 'ECONNREFUSED' },
      'the admin socket': { refused: 'ENOENT' },
      'a local socket without a path': { refused: 'ECONNREFUSED' },
    });
  });

  it(
    'has no power over its network, and no socket of another kind, in Python either',
    verifies('sandbox.network-apart', 'sandbox.hosts'),
    async () => {
      const plan = await withHost(PYTHON_ATTACKS, {
        runtime: { kind: 'python', entry: 'attack.py', args: [String(port)] },
      });
      const { stdout, stderr } = await form.run(plan);
      expect(stderr).toBe('');
      expect(JSON.parse(stdout.toString())).toEqual({
        'fetches what is allowed': { got: 'far' },
        'resolves another name': { refused: 'gaierror' },
        'opens netlink': { refused: 'EAFNOSUPPORT' },
        'opens vsock': { refused: 'EAFNOSUPPORT' },
        'opens packet': { refused: 'EAFNOSUPPORT' },
        'opens raw': { refused: 'EPROTONOSUPPORT' },
        'adds an address': { refused: 'EPERM' },
        'takes the interface down': { refused: 'EPERM' },
        'adds a route': { refused: 'EPERM' },
        'adds a bridge': { refused: 'EPERM' },
        'opens the tunnel device': { refused: 'ENOENT' },
        'changes a setting': { refused: 'EROFS' },
        'takes over the names': { refused: 'EACCES' },
        'joins the owner of its network': { refused: 'EPERM' },
      });
    },
  );

  it('shares its network with nobody', verifies('sandbox.network-apart'), async () => {
    const hub = await hubLike(form, folderOf(form));
    const token = `token-apart-${hub.pid}`;
    const args = [token, '45124'];
    await hub.start(await withHost(RESIDENT, { runtime: { kind: 'node', entry: 'attack.mjs', args } }));
    expect(await tried({ other: { kind: 'tcp', host: '127.0.0.1', port: 45_124 } })).toEqual({
      other: { refused: 'ECONNREFUSED' },
    });
  });

  it(
    'costs no process more than one without, and leaves the hub no hold on its namespace',
    verifies('sandbox.network-ends'),
    async () => {
      const hub = await hubLike(form, folderOf(form));
      const [withNetwork, without] = [`token-with-${hub.pid}`, `token-bare-${hub.pid}`];
      const runtime = (token: string) => ({ kind: 'node', entry: 'attack.mjs', args: [token] }) as const;
      await hub.start(await withHost(RESIDENT, { runtime: runtime(withNetwork) }));
      await hub.start(await withHost(RESIDENT, { runtime: runtime(without), network: [] }));
      const [one, other] = [await processesNaming(withNetwork), await processesNaming(without)];
      expect(one).toHaveLength(other.length);
      expect(await childrenOf(hub.pid)).toHaveLength(3);
      expect((await descriptorsOf(hub.pid)).filter((target) => /^(?:net|user):/.test(target))).toEqual([]);
      // Nothing of ours is open inside, in the skill's own process or in the one that made it.
      for (const pid of one) {
        const targets = await descriptorsOf(pid);
        expect(
          targets.filter((target) => !/^(?:\/dev\/null|pipe:|socket:|anon_inode:|\/proc|\/$)/.test(target)),
        ).toEqual([]);
      }

      hub.child.kill('SIGKILL');
      await expect
        .poll(() => processesNaming(withNetwork), { timeout: GONE_WITHIN_MS, interval: 5 })
        .toEqual([]);
    },
  );

  it(
    'leaves nothing when the hub is killed while it is made',
    { ...verifies('sandbox.no-orphans'), timeout: 120_000 },
    async () => {
      for (const delay of [0, 20, 45]) {
        const hub = await hubLike(form, folderOf(form));
        const token = `token-early-${hub.pid}`;
        const runtime = { kind: 'node', entry: 'attack.mjs', args: [token] } as const;
        const plan = await withHost(RESIDENT, { runtime });
        await hub.report();
        void hub.start(plan).catch(() => undefined);
        const mark = `berth-sandbox:${hub.pid}:`;
        await expect.poll(() => processesNaming(mark), { timeout: 10_000, interval: 1 }).not.toEqual([]);
        const until = performance.now() + delay;
        while (performance.now() < until) await new Promise((resolve) => setImmediate(resolve));
        hub.child.kill('SIGKILL');
        await hub.close();
        const left = async () => [...(await processesNaming(mark)), ...(await processesNaming(token))];
        await expect.poll(left, { timeout: GONE_WITHIN_MS, interval: 5 }).toEqual([]);
      }
    },
  );
});

async function listening(server: Server, host: string): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  return (server.address() as AddressInfo).port;
}

async function ended(server: Server): Promise<void> {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
}

/** A folder that anybody may enter, gone with the form. */
function folderOf(form: Form): string {
  return dirname(form.home);
}

/** Of this machine, seen from outside; the guard names the mark, too, and is no sandbox. */
async function processesNaming(token: string): Promise<number[]> {
  const found: number[] = [];
  for (const pid of (await readdir('/proc')).filter((entry) => /^\d+$/.test(entry))) {
    const command = await readFile(`/proc/${pid}/cmdline`, 'latin1').catch(() => '');
    if (command.includes(token) && !command.includes('berth-guard')) found.push(Number(pid));
  }
  return found;
}

async function childrenOf(pid: number): Promise<string[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8');
  return text.split(' ').filter(Boolean);
}

async function descriptorsOf(pid: number): Promise<string[]> {
  const names = await readdir(`/proc/${pid}/fd`);
  const targets = names.map((name) => readlink(`/proc/${pid}/fd/${name}`).catch(() => ''));
  return (await Promise.all(targets)).filter(Boolean);
}
