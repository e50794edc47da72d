// What goes out to the server, bare or in a sandbox: told what to do by lines on its standard input, it answers each with
// the milliseconds that it took.
import { once } from 'node:events';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';

const [, , host, port] = process.argv;

async function greeted() {
  const socket = connect({ host, port: Number(port), noDelay: true });
  await once(socket, 'data');
  return socket;
}

const errands = {
  /** From the name to the first byte of an answer; that a listener took the call says nothing of the host behind it. */
  async connect() {
    const started = performance.now();
    const socket = await greeted();
    const ms = performance.now() - started;
    socket.destroy();
    return ms;
  },
  async download(bytes) {
    const socket = await greeted();
    let size = 0;
    socket.on('data', (chunk) => (size += chunk.length));
    const started = performance.now();
    socket.write(bytes);
    await once(socket, 'end');
    if (size !== Number(bytes)) throw new Error(`${size} bytes came instead of ${bytes}`);
    return performance.now() - started;
  },
  async stay() {
    (await greeted()).on('error', () => undefined);
    return 0;
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const [errand, argument] = line.split(' ');
  console.log(String(await errands[errand](argument)));
}
