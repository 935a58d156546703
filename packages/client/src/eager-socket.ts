import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';

/** More than any window that the clients of this package offer: what is written ahead stays below it. */
const maxAheadBytes = 32 * 1024 * 1024;

/**
 * A socket for a node:http2 client that goes on reading while its peer does not, as clients in other
 * languages do.
 *
 * node:http2 stops reading while a write is under way. Two such ends that both have more to send than
 * the kernel's buffers hold wait for each other for ever; over a Unix domain socket, whose buffers
 * are small, an echo of some hundred KiB is enough. Here a write is done as soon as it is queued.
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
