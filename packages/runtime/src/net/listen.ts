import { once } from 'node:events';
import type { AddressInfo, Server } from 'node:net';
import type { Logger } from '../process/logger.ts';
import { StartupError } from '../process/startup-error.ts';
import { formatHostPort } from './host-port.ts';

export interface ListenerAddress {
  /** The listener's name in logs: `agent`, `health`. */
  readonly listener: string;
  /** The flag that chose the port: `--agent-port`. */
  readonly flag: string;
  /** 0: the system picks one. */
  readonly port: number;
  /** undefined: all addresses, IPv6 and IPv4. */
  readonly host: string | undefined;
  /** A socket that another process has already bound and logged. */
  readonly fd?: number | undefined;
}

const unresolved = 'the bind address cannot be resolved. Use an IP address';

const reasons: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another process uses it. Choose another port or stop that process',
  EACCES: 'permission denied. Ports below 1024 need a privilege: choose a higher one',
  EADDRNOTAVAIL: 'this machine does not have that address. Check the bind address',
  ENOTFOUND: unresolved,
  EAI_AGAIN: unresolved,
  EAI_FAIL: unresolved,
  EAFNOSUPPORT: 'this machine does not support that kind of address. Check the bind address',
};

/**
 * Binds a listener; any server of net, tls or http.
 * @throws StartupError with the flag, the address and the cure
 */
export async function bind(
  server: Server,
  listenerAddress: Omit<ListenerAddress, 'listener'>,
): Promise<AddressInfo> {
  const { port, host, fd } = listenerAddress;
  const at = fd === undefined ? { port, ...(host === undefined ? {} : { host }) } : { fd };
  server.listen(at);
  await once(server, 'listening').catch((error: NodeJS.ErrnoException) => {
    throw listenError(listenerAddress, error);
  });
  return server.address() as AddressInfo;
}

/**
 * Binds a listener and logs its address.
 *
 * Later errors, such as too few file descriptors in accept, are logged and do not end the process: the next
 * connection may work.
 *
 * @throws StartupError with the flag, the address and the cure
 */
export async function listen(
  server: Server,
  listenerAddress: ListenerAddress,
  logger: Logger,
): Promise<AddressInfo> {
  const { listener, fd } = listenerAddress;
  const address = await bind(server, listenerAddress);
  server.on('error', (err) => logger.error({ err, listener }, 'listener failed'));
  if (fd === undefined) {
    logListening(logger, listener, { address: address.address, port: address.port });
  }
  return address;
}

/** Logs the `listening` line, once for each listener. Scripts wait for it and read the port from it. */
export function logListening(
  logger: Logger,
  listener: string,
  at: { readonly address: string; readonly port: number } | { readonly path: string },
): void {
  logger.info({ listener, ...at }, 'listening');
}

/** Explains in one line, with the flag and the cure, why a listener cannot be bound. */
export function listenError(
  { flag, port, host = '' }: Omit<ListenerAddress, 'listener'>,
  error: NodeJS.ErrnoException,
): StartupError {
  const where = formatHostPort({ host, port });
  const reason = reasons[error.code ?? ''] ?? error.message;
  return new StartupError(`${flag}: cannot listen on ${where}: ${reason}`, { cause: error });
}
