import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';

const loopback = '127.0.0.1';

/**
 * A free TCP port for a program that cannot listen on port 0. No other caller on this machine gets the same
 * port while this process lives, because this process binds the UDP port of the same number. The port is
 * below the range that Linux uses for port 0.
 */
export async function pickPort(): Promise<number> {
  for (;;) {
    const port = randomInt(10_000, 30_000);
    if ((await isReserved(port)) && (await isFree(port))) return port;
  }
}

/** Binds the UDP port that reserves the number. @returns whether it was free */
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
