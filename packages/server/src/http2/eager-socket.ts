import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';

/** What a client that reads nothing can make us hold: as much as the windows of generous clients. */
const maxBacklogBytes = 16 * 1024 * 1024;

type Done = (error?: Error | null) => void;

/**
 * A socket whose writes are done at once, up to a limit.
 *
 * Node's HTTP/2 sessions do not read while a write waits for the peer. When the peer is node too,
 * and both have more to send than the kernel buffers, each waits for the other to read, for ever
 * (nodejs/node issue 48685). It takes both to wait: with this between session and socket, the
 * server's side never does while the peer's flow control windows are within the limit.
 */
export class EagerSocket extends Duplex {
  readonly #socket: Socket;
  /** The write that waits for the backlog to drain. */
  #held: Done | undefined;

  constructor(socket: Socket) {
    super({ allowHalfOpen: true });
    this.#socket = socket;
    socket.on('data', (chunk) => {
      if (!this.push(chunk)) socket.pause();
    });
    socket.on('end', () => this.push(null));
    socket.on('error', (error) => this.destroy(error));
    socket.on('close', () => this.destroy());
    socket.on('drain', () => {
      const done = this.#held;
      this.#held = undefined;
      done?.();
    });
  }

  override _read(): void {
    this.#socket.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: Done): void {
    this.#socket.write(chunk);
    this.#finish(done);
  }

  override _writev(pieces: { readonly chunk: Buffer }[], done: Done): void {
    this.#socket.cork();
    for (const { chunk } of pieces) this.#socket.write(chunk);
    this.#socket.uncork();
    this.#finish(done);
  }

  override _final(done: Done): void {
    this.#socket.end(done);
  }

  override _destroy(error: Error | null, done: Done): void {
    this.#socket.destroy();
    done(error);
  }

  #finish(done: Done): void {
    if (this.#socket.writableLength < maxBacklogBytes) done();
    else this.#held = done;
  }
}
