import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import type { Test } from 'tap';

const loopback = '127.0.0.1';

async function startTarget(t: Test, onConnection: (socket: Socket) => void): Promise<string> {
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket.on('error', () => {}));
    onConnection(socket);
  }).listen(0, loopback);
  await once(server, 'listening');
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return `${loopback}:${(server.address() as AddressInfo).port}`;
}

/** Starts a target that accepts connections and never reads. @returns its address */
export function startUnreadTarget(t: Test): Promise<string> {
  return startTarget(t, (socket) => socket.pause());
}

/** Starts a target that never stops sending. @returns its address */
export function startEndlessTarget(t: Test): Promise<string> {
  const chunk = Buffer.alloc(64 * 1024);
  return startTarget(t, (socket) => {
    const send = () => {
      while (!socket.destroyed && socket.write(chunk));
    };
    socket.on('drain', send);
    send();
  });
}
