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

/** A target that accepts and never reads. @returns its address */
export function startMuteTarget(t: Test): Promise<string> {
  return startTarget(t, (socket) => socket.pause());
}

/** A target that sends without an end. @returns its address */
export function startPouringTarget(t: Test): Promise<string> {
  const piece = Buffer.alloc(64 * 1024);
  return startTarget(t, (socket) => {
    const pour = () => {
      while (!socket.destroyed && socket.write(piece));
    };
    socket.on('drain', pour);
    pour();
  });
}
