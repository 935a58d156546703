import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { pickPort as pickAnyPort } from '@fairlead/testkit';

/** A port, and whether it is the preferred one. */
export interface PickedPort {
  readonly port: number;
  readonly isWanted: boolean;
}

/** The preferred port on the address, or a free one if another process uses it. */
export async function pickPort(wanted: number, host: string): Promise<PickedPort> {
  const isWanted = (await isReserved(wanted, host)) && (await isFree(wanted, host));
  return { port: isWanted ? wanted : await pickAnyPort(), isWanted };
}

/**
 * Binds the UDP port of the same number until this process ends. It is a lock: if two demos start at once, only one
 * gets the TCP port, although neither server listens yet.
 */
async function isReserved(port: number, host: string): Promise<boolean> {
  const socket = createSocket('udp4').unref();
  socket.bind({ port, address: host, exclusive: true });
  return succeeds(once(socket, 'listening'));
}

async function isFree(port: number, host: string): Promise<boolean> {
  const server = createServer().listen(port, host);
  if (!(await succeeds(once(server, 'listening')))) return false;
  server.close();
  await once(server, 'close');
  return true;
}

/** Whether the port could be bound. @throws the error if it is not EADDRINUSE */
async function succeeds(binding: Promise<unknown>): Promise<boolean> {
  try {
    await binding;
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') return false;
    throw error;
  }
}
