import { Duplex } from 'node:stream';
import type { ClientStream } from './client-stream.ts';
import { openClientStream } from './open-client-stream.ts';
import type { Route } from './route.ts';

/** A `ClientStream` as a Node Duplex, for clients that want a socket. Writes wait for the opening. */
export class ClientDuplex extends Duplex {
  #stream: ClientStream | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isOpen = false;
  #waiting: (() => void) | undefined;

  /** @param delayMs how long to wait before it connects */
  constructor(route: Route, delayMs = 0) {
    super();
    if (delayMs <= 0) this.#open(route);
    else this.#timer = setTimeout(() => this.#open(route), delayMs);
  }

  #open(route: Route): void {
    this.#stream = openClientStream(route, {
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
    clearTimeout(this.#timer);
    this.#stream?.destroy();
    callback(error);
  }

  #goOn(): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.();
  }
}
