/**
 * Sockets that are bound here and listened on elsewhere: a worker inherits the file descriptor and takes
 * connections from it whenever it has nothing better to do, so that the system hands them to whoever is free,
 * and never to a process that has stopped.
 *
 * Node's public interface binds and listens in one step. What cluster itself is built on does the first alone.
 */
import { promises as dns } from 'node:dns';
import net, { type AddressInfo } from 'node:net';
import { getSystemErrorName } from 'node:util';
import { type ListenPlace, listenError } from '@fairlead/runtime/net';

/** A socket that is bound, as libuv holds it. */
interface Handle {
  readonly fd: number;
  close(): void;
  /** Fills in address and port. */
  getsockname(out: object): number;
}

/** @returns a negative error number on failure */
type CreateServerHandle = (
  address: string | null,
  port: number,
  addressType: 4 | 6 | -1,
  fd: -1,
  flags: 0,
) => Handle | number;

/** A socket that workers can listen on. */
export interface BoundSocket {
  /** Of this process, to be inherited. */
  readonly fd: number;
  /** This process lets go; connections come as long as some other listens. */
  close(): void;
}

/** @throws StartupError naming flag, address and reason */
export async function bindTcp(
  place: ListenPlace,
): Promise<BoundSocket & { readonly address: AddressInfo }> {
  const { host, port } = place;
  try {
    const at = host === undefined ? undefined : await dns.lookup(host);
    const family = at === undefined ? -1 : at.family === 6 ? 6 : 4;
    const handle = createHandle(at?.address ?? null, port, family);
    const address = {} as AddressInfo;
    handle.getsockname(address);
    // libuv keeps "in use" for listen(), which would pick another port.
    if (port !== 0 && address.port !== port) {
      handle.close();
      throw systemError('EADDRINUSE');
    }
    return { fd: handle.fd, address, close: () => handle.close() };
  } catch (error) {
    throw listenError(place, error as NodeJS.ErrnoException);
  }
}

/** Makes a socket file before it returns. Its file is removed with `close` if it is still there. */
export async function bindUds(path: string): Promise<BoundSocket> {
  const handle = createHandle(path, -1, -1);
  return { fd: handle.fd, close: () => handle.close() };
}

function createHandle(address: string | null, port: number, type: 4 | 6 | -1): Handle {
  const { _createServerHandle } = net as unknown as { _createServerHandle: CreateServerHandle };
  const handle = _createServerHandle(address, port, type, -1, 0);
  if (typeof handle === 'number') throw systemError(getSystemErrorName(handle));
  return handle;
}

function systemError(code: string): NodeJS.ErrnoException {
  return Object.assign(new Error(code), { code });
}
