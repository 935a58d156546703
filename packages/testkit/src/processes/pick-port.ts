import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';

const loopback = '127.0.0.1';

/**
 * A free TCP port for a program that cannot be given 0. No other caller on this machine gets the same one
 * while this process lives: each holds the UDP port of the same number. It lies below the range from which
 * Linux serves port 0.
 */
export async function pickPort(): Promise<number> {
  for (;;) {
    const port = randomInt(10_000, 30_000);
    if ((await isReserved(port)) && (await isFree(port))) return port;
  }
}

/** Whether the UDP port, which marks the number as taken, is this process's now. */
async function isReserved(port: number): Promise<boolean> {
  const socket = createSocket('udp4').unref();
  try {
    socket.bind({ port, address: loopback, exclusive: true });
    await once(socket, 'listening');
    return true;
  } catch {
    socket.close();
    return false;
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer().listen(port, loopback);
  try {
    await once(server, 'listening');
  } catch {
    return false;
  }
  server.close();
  await once(server, 'close');
  return true;
}
