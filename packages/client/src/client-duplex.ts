import { Duplex } from 'node:stream';
import type { ClientStream } from './client-stream.ts';
import { openClientStream } from './open-client-stream.ts';
import type { Route } from './route.ts';

/** A `ClientStream` as a Node Duplex, for code that needs a socket. Writes wait until it is open. */
export class ClientDuplex extends Duplex {
  readonly #route: Route;
  #stream: ClientStream | undefined;
  #isOpen = false;
  #waiting: (() => void) | undefined;

  constructor(route: Route) {
    super();
    this.#route = route;
  }

  /** Connects, unless it is destroyed. A failure is the Duplex's `error`. */
  open(): this {
    if (this.destroyed) return this;
    this.#stream = openClientStream(this.#route, {
      onOpen: () => {
        this.#isOpen = true;
        this.#resume();
      },
      // Copied, because the stream overwrites its bytes after the call. There is no backpressure:
      // answers are small here.
      onData: (chunk) => this.push(Buffer.from(chunk)),
      onDrain: () => this.#resume(),
      onClose: (error) => {
        if (error) this.destroy(error);
        else this.push(null);
      },
    });
    return this;
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: () => void): void {
    const write = () => {
      if (this.#stream!.write(chunk)) callback();
      else this.#waiting = callback;
    };
    if (this.#isOpen) write();
    else this.#waiting = write;
  }

  override _final(callback: () => void): void {
    if (this.#isOpen) this.#stream!.end();
    callback();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#stream?.destroy();
    callback(error);
  }

  #resume(): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.();
  }
}
