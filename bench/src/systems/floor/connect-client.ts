import type { Socket } from 'node:net';
import { SocketStream } from './socket-stream.ts';
import type { Tunnel } from './tunnel.ts';

const method = Buffer.from('CONNECT ');
const headEnd = Buffer.from('\r\n\r\n');
const space = 0x20;
const accepted = Buffer.from('HTTP/1.1 200 OK\r\n\r\n');
const failed = 'HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n';

const kClient = Symbol('client');
type ClientSocket = Socket & { [kClient]?: ConnectClient };

/** A client that sends `CONNECT host:port HTTP/1.1`. Its head is not checked. */
export class ConnectClient extends SocketStream {
  #head: Buffer | undefined;
  #isOpened = false;

  constructor(socket: Socket, tunnel: Tunnel) {
    super(socket, tunnel, 0);
    (socket as ClientSocket)[kClient] = this;
    socket.on('data', onData);
  }

  onSocketData(bytes: Buffer): void {
    if (this.id === 0) this.#onHead(bytes);
    else if (!this.send(bytes)) this.socket.pause();
  }

  override onOpened(): void {
    this.#isOpened = true;
    this.socket.write(accepted);
  }

  override onReset(): void {
    if (this.#isOpened) {
      super.onReset();
      return;
    }
    this.tunnel.remove(this.id);
    this.socket.end(failed);
  }

  override onSocketEnd(): void {
    if (this.id === 0) this.socket.destroy();
    else super.onSocketEnd();
  }

  override onSocketError(): void {
    if (this.id !== 0) super.onSocketError();
  }

  #onHead(chunk: Buffer): void {
    const bytes = this.#head === undefined ? chunk : Buffer.concat([this.#head, chunk]);
    const end = bytes.indexOf(headEnd);
    if (end < 0) {
      this.#head = bytes;
      return;
    }
    const from = method.length;
    this.#head = undefined;
    this.id = this.tunnel.open(this, bytes.subarray(from, bytes.indexOf(space, from)));
    const rest = end + headEnd.length;
    if (rest < bytes.length) this.onSocketData(bytes.subarray(rest));
  }
}

function onData(this: ClientSocket, bytes: Buffer): void {
  this[kClient]!.onSocketData(bytes);
}
