import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';

/** Limit of bytes that wait in the socket. Larger than any window that the clients of this package offer. */
const maxAheadBytes = 32 * 1024 * 1024;

/**
 * A socket for a node:http2 client that reads while its own writes wait, as clients in other languages
 * do.
 *
 * node:http2 stops reading during a write. If both ends send more than the kernel's buffers hold, they
 * wait for each other forever. A Unix domain socket has small buffers, so an echo of some hundred KiB
 * is enough. Here a write completes as soon as it is queued.
 */
export class EagerSocket extends Duplex {
  readonly #socket: Socket;
  #waiting: (() => void) | undefined;

  constructor(socket: Socket) {
    super({ allowHalfOpen: false });
    this.#socket = socket;
    socket.on('data', (chunk: Buffer) => {
      if (!this.push(chunk)) socket.pause();
    });
    socket.on('end', () => this.push(null));
    socket.on('drain', () => this.#release());
    socket.on('error', (error) => this.destroy(error));
    socket.on('close', () => this.destroy());
  }

  override _read(): void {
    this.#socket.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#socket.write(chunk);
    if (this.#socket.writableLength < maxAheadBytes) done();
    else this.#waiting = done;
  }

  override _final(done: () => void): void {
    this.#socket.end(done);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#socket.destroy();
    this.#release();
    done(error);
  }

  #release(): void {
    const done = this.#waiting;
    this.#waiting = undefined;
    done?.();
  }
}
