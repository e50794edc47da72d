// Runs in a network namespace of its own: binds what a sandbox's network is served at, hands that to its parent, and
// then runs programs there for it.
import { execFile } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';

async function hand(name, handle, close) {
  await new Promise((resolve, reject) => {
    process.send({ name }, handle, { keepOpen: true }, (error) => (error ? reject(error) : resolve()));
  });
  close();
}

async function server(name, place) {
  const made = createServer();
  await once(made.listen({ ...place, exclusive: true }), 'listening');
  await hand(name, made, () => made.close());
}

process.on('message', ({ run: [program, args], env, id }) => {
  const options = { env: { PATH: process.env.PATH, ...env }, timeout: 30_000 };
  execFile(program, args, options, (error, stdout, stderr) => {
    process.send({ id, status: error === null ? 0 : (error.code ?? -1), stdout, stderr });
  });
});
process.on('disconnect', () => process.exit());

for (const port of JSON.parse(process.argv[2])) await server('server', { port, host: '::' });
const udp = createSocket('udp4');
await once(udp.bind(53, '127.0.0.1'), 'listening');
await hand('udp', udp, () => udp.close());
await server('dns', { port: 53, host: '127.0.0.1' });
process.send({ name: 'ready' });
