import { once } from 'node:events';
import { createServer } from 'node:net';

/** A port, and whether it is the one that was wanted. */
export interface PickedPort {
  readonly port: number;
  readonly isWanted: boolean;
}

/** The wanted port on the address, or one that is free if another process has it. */
export async function pickPort(wanted: number, host: string): Promise<PickedPort> {
  try {
    return { port: await tryPort(wanted, host), isWanted: true };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    return { port: await tryPort(0, host), isWanted: false };
  }
}

async function tryPort(port: number, host: string): Promise<number> {
  const server = createServer().listen(port, host);
  await once(server, 'listening');
  const { port: bound } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return bound;
}
