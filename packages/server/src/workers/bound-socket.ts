/**
 * Sockets that the primary binds and its workers listen on. A worker inherits the file descriptor and accepts
 * connections when it is idle, so the system gives none to a process that has stopped.
 *
 * Node's public API binds and listens in one step. The internal function below node:cluster only binds.
 */
import { promises as dns } from 'node:dns';
import net, { type AddressInfo } from 'node:net';
import { getSystemErrorName } from 'node:util';
import { type ListenerAddress, listenError } from '@fairlead/runtime/net';

/** libuv's handle of a bound socket. */
interface Handle {
  /** In this process, for workers to inherit. */
  readonly fd: number;
  /** Closes the socket in this process; workers still accept connections. */
  close(): void;
  /** Fills in address and port. */
  getsockname(out: object): number;
}

export type BoundSocket = Pick<Handle, 'fd' | 'close'>;

/** @throws StartupError naming flag, address and reason */
export async function bindTcp(place: ListenerAddress) {
  const { host, port } = place;
  try {
    const at = host === undefined ? undefined : await dns.lookup(host);
    const family = at === undefined ? -1 : at.family === 6 ? 6 : 4;
    const handle = createHandle(at?.address ?? null, port, family);
    const address = {} as AddressInfo;
    handle.getsockname(address);
    // libuv reports EADDRINUSE only in listen(), and would bind another port here.
    if (port !== 0 && address.port !== port) {
      handle.close();
      throw systemError('EADDRINUSE');
    }
    return { fd: handle.fd, address, close: () => handle.close() };
  } catch (error) {
    throw listenError(place, error as NodeJS.ErrnoException);
  }
}

/** Creates the socket file before it returns. `close` removes the file if it still exists. */
export async function bindUds(path: string): Promise<BoundSocket> {
  return createHandle(path, -1, -1);
}

function createHandle(address: string | null, port: number, type: 4 | 6 | -1): Handle {
  const { _createServerHandle } = net as unknown as {
    /** @returns a negative error number on failure */
    _createServerHandle(
      address: string | null,
      port: number,
      addressType: 4 | 6 | -1,
      fd: -1,
      flags: 0,
    ): Handle | number;
  };
  const handle = _createServerHandle(address, port, type, -1, 0);
  if (typeof handle === 'number') throw systemError(getSystemErrorName(handle));
  return handle;
}

function systemError(code: string): NodeJS.ErrnoException {
  return Object.assign(new Error(code), { code });
}
