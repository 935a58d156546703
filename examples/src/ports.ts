import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { pickPort as pickAnyPort } from '@fairlead/testkit';

/** A port, and whether it is the one that was wanted. */
export interface PickedPort {
  readonly port: number;
  readonly isWanted: boolean;
}

/** The wanted port on the address, or one that is free if another process has it. */
export async function pickPort(wanted: number, host: string): Promise<PickedPort> {
  const isWanted = (await isReserved(wanted, host)) && (await isFree(wanted, host));
  return { port: isWanted ? wanted : await pickAnyPort(), isWanted };
}

/**
 * Takes the UDP port of the same number until this process ends: of two demos that start at once only one
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

/** Whether it binds; an error other than that of a taken port is thrown. */
async function succeeds(binding: Promise<unknown>): Promise<boolean> {
  try {
    await binding;
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') return false;
    throw error;
  }
}
