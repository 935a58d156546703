import type { Socket } from 'node:net';
import { creditBytes, type FloorStream, type Tunnel, windowBytes } from './tunnel.ts';

const kStream = Symbol('stream');
type StreamSocket = Socket & { [kStream]?: SocketStream };

/** Joins a socket and a stream of the tunnel: bytes, backpressure, half-close and reset. */
export class SocketStream implements FloorStream {
  protected readonly socket: Socket;
  protected readonly tunnel: Tunnel;
  protected id: number;
  /** Bytes that the peer accepts. Below 0 by at most one read. */
  #sendWindow = windowBytes;
  /** Bytes that the socket took since the last credit. */
  #takenBytes = 0;
  /** Bytes that wait for the socket's 'drain'. */
  #waitingBytes = 0;
  #hasSentFin = false;
  #hasReceivedFin = false;

  /** @param id 0 if `open` follows */
  constructor(socket: Socket, tunnel: Tunnel, id: number) {
    this.socket = socket;
    this.tunnel = tunnel;
    this.id = id;
    (socket as StreamSocket)[kStream] = this;
    socket.on('end', onEnd);
    socket.on('error', onError);
  }

  /** Bytes that were read from the socket. @returns whether to read on */
  send(bytes: Buffer): boolean {
    this.tunnel.data(this.id, bytes);
    this.#sendWindow -= bytes.length;
    return this.#sendWindow > 0;
  }

  onOpened(): void {}

  onData(bytes: Buffer): boolean {
    const { socket } = this;
    const hasRoom = socket.write(bytes);
    const isHolding = socket.writableLength > 0;
    if (hasRoom || !isHolding) {
      this.#credit(bytes.length);
    } else {
      if (this.#waitingBytes === 0) socket.once('drain', onDrain);
      this.#waitingBytes += bytes.length;
    }
    return isHolding;
  }

  onFin(): void {
    this.#hasReceivedFin = true;
    // If nothing is left to read or write, close() also sends the FIN, and saves shutdown() and two events.
    if (this.#hasSentFin && this.socket.writableLength === 0) this.socket.destroy();
    else this.socket.end();
    this.#removeIfEnded();
  }

  onReset(): void {
    this.tunnel.remove(this.id);
    abort(this.socket);
  }

  onWindow(bytes: number): void {
    const wasPaused = this.#sendWindow <= 0;
    this.#sendWindow += bytes;
    if (wasPaused && this.#sendWindow > 0) this.socket.resume();
  }

  onSocketEnd(): void {
    this.#hasSentFin = true;
    this.tunnel.fin(this.id);
    this.#removeIfEnded();
  }

  onSocketError(): void {
    if (this.#hasSentFin && this.#hasReceivedFin) return;
    this.tunnel.reset(this.id);
  }

  onDrain(): void {
    const bytes = this.#waitingBytes;
    this.#waitingBytes = 0;
    this.#credit(bytes);
  }

  #credit(bytes: number): void {
    this.#takenBytes += bytes;
    if (this.#takenBytes < creditBytes) return;
    this.tunnel.window(this.id, this.#takenBytes);
    this.#takenBytes = 0;
  }

  #removeIfEnded(): void {
    if (this.#hasSentFin && this.#hasReceivedFin) this.tunnel.remove(this.id);
  }
}

// All sockets share these listeners, so that a stream costs no closures.

function onEnd(this: StreamSocket): void {
  this[kStream]!.onSocketEnd();
}

function onError(this: StreamSocket): void {
  this[kStream]!.onSocketError();
}

function onDrain(this: StreamSocket): void {
  this[kStream]!.onDrain();
}

/** Only TCP has a reset. */
function abort(socket: Socket): void {
  if (socket.remotePort === undefined) socket.destroy();
  else socket.resetAndDestroy();
}
