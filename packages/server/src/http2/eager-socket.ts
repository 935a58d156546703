import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import type { MemoryBudget } from '@fairlead/protocol';

/** What a client that reads nothing can make us hold: as much as the windows of generous clients. */
const maxBacklogBytes = 16 * 1024 * 1024;

/** As much as any version of Node takes before `write` returns false. */
const leastCountedBytes = 64 * 1024;

/** How long a client may leave a connection open that has ended here. */
const lingerMs = 2_000;

type Done = (error?: Error | null) => void;

/**
 * A socket whose writes are done at once, up to a limit.
 *
 * Node's HTTP/2 sessions do not read while a write waits for the peer. When the peer is node too,
 * and both have more to send than the kernel buffers, each waits for the other to read, for ever
 * (nodejs/node issue 48685). It takes both to wait: with this between session and socket, the
 * server's side never does while the peer's flow control windows are within the limit.
 *
 * What it holds counts as the process's: a client's windows may be as large as it likes, and at the memory cap
 * the connection that holds most is cut off.
 */
export class EagerSocket extends Duplex {
  readonly #socket: Socket;
  readonly #memory: MemoryBudget | undefined;
  #heldBytes = 0;
  /** The write that waits for the backlog to drain. */
  #held: Done | undefined;

  constructor(socket: Socket, memory?: MemoryBudget) {
    super({ allowHalfOpen: true });
    this.#socket = socket;
    this.#memory = memory;
    socket.on('data', (chunk) => {
      if (!this.push(chunk)) socket.pause();
    });
    socket.on('end', () => this.push(null));
    socket.on('error', (error) => this.destroy(error));
    socket.on('close', () => this.destroy());
    socket.on('drain', () => {
      this.#count();
      const done = this.#held;
      this.#held = undefined;
      done?.();
    });
  }

  /** Written and not taken by the peer, as far as is known. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** Cuts the connection off. */
  resetForMemory(): void {
    this.destroy();
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

  /** The session is over. Its client may have more to say, or nothing to do with the end: it has a moment. */
  override _final(done: Done): void {
    const timer = setTimeout(() => this.destroy(), lingerMs);
    this.once('close', () => clearTimeout(timer));
    this.#socket.end(done);
  }

  override _destroy(error: Error | null, done: Done): void {
    this.#socket.destroy();
    this.#memory?.release(this.#heldBytes);
    this.#heldBytes = 0;
    done(error);
  }

  #count(): void {
    if (!this.#memory || this.destroyed) return;
    const { writableLength } = this.#socket;
    // Of less than that no 'drain' would tell when it has left.
    const bytes = (writableLength < leastCountedBytes ? 0 : writableLength) - this.#heldBytes;
    this.#heldBytes += bytes;
    if (bytes > 0) this.#memory.hold(bytes);
    else this.#memory.release(-bytes);
  }

  #finish(done: Done): void {
    this.#count();
    if (this.#socket.writableLength < maxBacklogBytes) done();
    else this.#held = done;
  }
}
