import { Duplex } from 'node:stream';
import type { LoadStream } from './load-stream.ts';
import { openLoadStream } from './open-load-stream.ts';
import type { Route } from './route.ts';

/** A `LoadStream` as a Node Duplex, for clients that want a socket. Writes wait for the opening. */
export class LoadDuplex extends Duplex {
  readonly #stream: LoadStream;
  #isOpen = false;
  #waiting: (() => void) | undefined;

  constructor(route: Route) {
    super();
    this.#stream = openLoadStream(route, {
      onOpen: () => {
        this.#isOpen = true;
        this.#goOn();
      },
      // Copied: the stream's bytes are overwritten after the call. Nothing holds the stream back,
      // as answers here are small.
      onData: (chunk) => this.push(Buffer.from(chunk)),
      onDrain: () => this.#goOn(),
      onClose: (error) => {
        if (error) this.destroy(error);
        else this.push(null);
      },
    });
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: () => void): void {
    const write = () => {
      if (this.#stream.write(chunk)) callback();
      else this.#waiting = callback;
    };
    if (this.#isOpen) write();
    else this.#waiting = write;
  }

  override _final(callback: () => void): void {
    this.#stream.end();
    callback();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#stream.destroy();
    callback(error);
  }

  #goOn(): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.();
  }
}
