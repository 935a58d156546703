import type { ClientHttp2Session, ClientHttp2Stream } from 'node:http2';
import { openHttp2Session } from './http2-session.ts';
import type { LoadHandler, LoadStream } from './load-stream.ts';
import type { Route } from './route.ts';

/** All streams of the process share a connection, as a client's would. */
let shared: ClientHttp2Session | undefined;

function sharedSession(route: Route): ClientHttp2Session {
  if (!shared || shared.closed || shared.destroyed) {
    shared = openHttp2Session(route);
    // Its streams report the failure.
    shared.on('error', () => {});
    shared.setMaxListeners(0);
  }
  return shared;
}

/** A stream by HTTP/2 CONNECT (RFC 9113, section 8.5). */
export class Http2ConnectStream implements LoadStream {
  readonly #stream: ClientHttp2Stream;
  #error: Error | undefined;

  constructor(route: Route, handler: LoadHandler) {
    const { host, port } = route.target;
    const stream = sharedSession(route).request(
      { ':method': 'CONNECT', ':authority': `${host}:${port}` },
      { endStream: false },
    );
    this.#stream = stream;
    stream.once('response', (headers) => {
      const status = headers[':status'];
      if (status === 200) handler.onOpen();
      else {
        this.#error ??= new Error(`CONNECT was answered with ${status}`);
        stream.close();
      }
    });
    stream.on('data', (chunk: Buffer) => handler.onData(chunk));
    stream.on('drain', () => handler.onDrain());
    stream.on('error', (error) => {
      this.#error ??= error;
    });
    stream.once('close', () => handler.onClose(this.#error));
  }

  write(chunk: Buffer): boolean {
    return this.#stream.write(chunk);
  }

  stall(): void {
    this.#stream.pause();
  }

  end(): void {
    this.#stream.end();
  }

  destroy(): void {
    this.#stream.close();
  }
}
