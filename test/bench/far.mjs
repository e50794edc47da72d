// A server of the world outside, in a process of its own: greets whoever comes with one byte, and then sends as many
// bytes as it is asked for.
import { createServer } from 'node:net';

const CHUNK = Buffer.alloc(256 * 1024, 'x');

const server = createServer({ noDelay: true }, (socket) => {
  socket.on('error', () => undefined);
  socket.write('!');
  socket.once('data', (asked) => {
    let left = Number(asked);
    const send = () => {
      for (;;) {
        if (left <= 0) return socket.end();
        const part = CHUNK.subarray(0, left);
        left -= part.length;
        if (!socket.write(part)) return socket.once('drain', send);
      }
    };
    send();
  });
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
