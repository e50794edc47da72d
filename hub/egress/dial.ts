import { connect, type Socket, type TcpNetConnectOpts } from 'node:net';

/** How much is read at once. */
const READ_BYTES = 128 * 1024;

/** A connection to the world outside. */
export interface Dialled {
  socket: Socket;
  /**
   * Says who takes what comes, from before anything can come. The bytes are there until the taker lets the socket be read
   * again, and not longer: the next ones lie in their place.
   */
  give(take: (bytes: Buffer) => void): void;
}

/**
 * Connects, and reads into one buffer over and over: memory that is new for each read costs as much as all else that a
 * byte costs on its way.
 */
export function dial(place: Omit<TcpNetConnectOpts, 'onread'>): Dialled {
  const buffer = Buffer.allocUnsafeSlow(READ_BYTES);
  let take = (_bytes: Buffer): void => void socket.destroy();
  const callback = (size: number): boolean => {
    take(buffer.subarray(0, size));
    // Whoever wants no more has paused it by now.
    return true;
  };
  const socket = connect({ ...place, onread: { buffer, callback } } as TcpNetConnectOpts);
  return { socket, give: (to) => (take = to) };
}
