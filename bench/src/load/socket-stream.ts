import { connect, type Socket, type TcpNetConnectOpts } from 'node:net';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';
import type { LoadHandler, LoadStream } from './load-stream.ts';
import type { Route } from './route.ts';

/**
 * Every socket of the process reads into this one buffer: bytes are counted, not kept, so the
 * client allocates nothing per read and costs as little as it can.
 */
const readBuffer = Buffer.allocUnsafeSlow(65_536);
const headEnd = '\r\n\r\n';
const maxHeadBytes = 16_384;

/** A stream on a connection of its own: plain or after an HTTP/1.1 CONNECT, over UDS, TCP or TLS. */
export class SocketStream implements LoadStream {
  readonly #socket: Socket;
  readonly #handler: LoadHandler;
  /** What has come of the answer to CONNECT; undefined once it is complete. */
  #head: string | undefined;
  #error: Error | undefined;
  #stalled = false;

  constructor(route: Route, handler: LoadHandler) {
    this.#handler = handler;
    const { host, port } = route.target;
    const speaks = route.by === 'connect';
    if (speaks) this.#head = '';
    const socket = openSocket(route, (bytes) => this.#onBytes(readBuffer.subarray(0, bytes)));
    this.#socket = socket;
    socket.once(route.tls ? 'secureConnect' : 'connect', () => {
      if (speaks) socket.write(`CONNECT ${host}:${port} HTTP/1.1\r\nHost: ${host}:${port}\r\n\r\n`);
      else handler.onOpen();
    });
    socket.on('drain', () => handler.onDrain());
    socket.on('error', (error) => {
      this.#error ??= error;
    });
    socket.once('close', () => handler.onClose(this.#error));
  }

  write(chunk: Buffer): boolean {
    return this.#socket.write(chunk);
  }

  stall(): void {
    this.#stalled = true;
    this.#socket.pause();
  }

  end(): void {
    this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  /** @returns whether reading goes on */
  #onBytes(bytes: Buffer): boolean {
    if (this.#head === undefined) this.#handler.onData(bytes);
    else this.#onHead(bytes);
    return !this.#stalled;
  }

  #onHead(bytes: Buffer): void {
    const before = this.#head!.length;
    this.#head += bytes.toString('latin1');
    const end = this.#head!.indexOf(headEnd);
    if (end < 0) {
      if (this.#head!.length > maxHeadBytes)
        this.#socket.destroy(new Error('endless CONNECT answer'));
      return;
    }
    const statusLine = this.#head!.slice(0, this.#head!.indexOf('\r\n'));
    if (!/^HTTP\/1\.[01] 200/.test(statusLine)) {
      this.#socket.destroy(new Error(`CONNECT was answered with "${statusLine}"`));
      return;
    }
    this.#head = undefined;
    this.#handler.onOpen();
    const rest = bytes.subarray(end + headEnd.length - before);
    if (rest.length > 0) this.#handler.onData(rest);
  }
}

function openSocket(route: Route, onBytes: (bytes: number) => boolean): Socket {
  const onread = { buffer: readBuffer, callback: onBytes };
  if (!route.tls) {
    // Node's types know `onread` for TCP only; libuv reads a Unix domain socket the same way.
    return connect({ ...route.address, noDelay: true, onread } as TcpNetConnectOpts);
  }
  const options = {
    ...route.address,
    ...route.tls,
    servername: 'localhost',
    ALPNProtocols: ['http/1.1'],
    onread,
  };
  return connectTls(options as ConnectionOptions).setNoDelay(true);
}
