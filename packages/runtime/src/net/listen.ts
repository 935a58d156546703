import type { AddressInfo, Server } from 'node:net';
import type { Logger } from '../process/logger.ts';
import { StartupError } from '../process/startup-error.ts';
import { formatHostPort } from './host-port.ts';

export interface ListenPlace {
  /** The listener's name in logs: `agent`, `health`. */
  readonly listener: string;
  /** The flag that chose the port: `--agent-port`. */
  readonly flag: string;
  /** 0: the system picks one. */
  readonly port: number;
  /** undefined: all addresses, IPv6 and IPv4. */
  readonly host: string | undefined;
  /** A socket that another process has bound there, and has logged. */
  readonly fd?: number | undefined;
}

const reasons: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another process has it; choose another port or stop that process',
  EACCES: 'permission denied; ports below 1024 need a privilege, choose a higher one',
  EADDRNOTAVAIL: 'this machine has no such address; check the bind address',
  ENOTFOUND: 'the name of the bind address cannot be resolved; give an IP address',
  EAFNOSUPPORT: 'this machine does not have that kind of address; check the bind address',
};

/**
 * Binds a listener (net, tls and http servers alike).
 * @throws StartupError naming flag, address and reason
 */
export async function bind(
  server: Server,
  place: Omit<ListenPlace, 'listener'>,
): Promise<AddressInfo> {
  const { port, host, fd } = place;
  const at = fd === undefined ? { port, ...(host === undefined ? {} : { host }) } : { fd };
  await new Promise<void>((resolve, reject) => {
    const onError = (error: NodeJS.ErrnoException) => reject(listenError(place, error));
    server.once('error', onError);
    server.listen(at, () => {
      server.off('error', onError);
      resolve();
    });
  });
  return server.address() as AddressInfo;
}

/**
 * Binds a listener and logs where.
 *
 * Errors that come later, such as running out of file descriptors in accept, are logged and do not
 * end the process: the next connection may work.
 *
 * @throws StartupError naming flag, address and reason
 */
export async function listen(
  server: Server,
  place: ListenPlace,
  logger: Logger,
): Promise<AddressInfo> {
  const { listener, fd } = place;
  const address = await bind(server, place);
  server.on('error', (err) => logger.error({ err, listener }, 'the listener failed'));
  if (fd === undefined) {
    logListening(logger, listener, { address: address.address, port: address.port });
  }
  return address;
}

/** The one `listening` line of each listener; scripts wait for it and read the port from it. */
export function logListening(
  logger: Logger,
  listener: string,
  at: { readonly address: string; readonly port: number } | { readonly path: string },
): void {
  logger.info({ listener, ...at }, 'listening');
}

/** Why a place cannot be listened on, as one line with the flag and the cure. */
export function listenError(
  place: Omit<ListenPlace, 'listener'>,
  error: NodeJS.ErrnoException,
): StartupError {
  const { flag, port, host = '' } = place;
  const where = formatHostPort({ host, port });
  const reason = reasons[error.code ?? ''] ?? error.message;
  return new StartupError(`${flag}: cannot listen on ${where}: ${reason}`, { cause: error });
}
