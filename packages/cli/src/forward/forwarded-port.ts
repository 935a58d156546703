import type { AddressInfo, Server, Socket } from 'node:net';
import { createServer } from 'node:net';
import type { Duplex } from 'node:stream';
import { ClientError, openDuplex, type Route, toClientError } from '@fairlead/client';
import { isHttp2Stream, resetHttp2Stream, resetSocket, wasReset } from '@fairlead/protocol';
import { bind } from '@fairlead/runtime/net';

const resetText = 'the connection was reset, by the target or on the way';

export interface ForwardedPortOptions {
  readonly route: Route;
  readonly host: string;
  /** 0: the system picks one. */
  readonly port: number;
  readonly timeoutMs: number;
  onConnection(): void;
  /** A connection that no stream could be opened for, or that broke. */
  onFailure(error: Error): void;
}

/** A local port whose connections become streams to one target. */
export class ForwardedPort {
  readonly #options: ForwardedPortOptions;
  readonly #server: Server;

  constructor(options: ForwardedPortOptions) {
    this.#options = options;
    // Not read before the stream is there: what the client sends early waits in the kernel.
    const settings = { allowHalfOpen: true, noDelay: true, pauseOnConnect: true };
    this.#server = createServer(settings, (socket) => void this.#serve(socket));
  }

  /** @throws StartupError */
  async listen(): Promise<AddressInfo> {
    const { host, port } = this.#options;
    const address = await bind(this.#server, { flag: portFlag(port), host, port });
    this.#server.on('error', (error) => this.#options.onFailure(error));
    return address;
  }

  /** Takes no more connections. */
  close(): void {
    this.#server.close();
  }

  async #serve(socket: Socket): Promise<void> {
    const { route, timeoutMs, onConnection, onFailure } = this.#options;
    onConnection();
    // A client that goes away while the stream is opened.
    socket.on('error', () => {});
    let stream: Duplex;
    try {
      stream = await openDuplex(route, timeoutMs);
    } catch (error) {
      onFailure(error as Error);
      resetSocket(socket);
      return;
    }
    stream.on('error', () => {});
    if (socket.destroyed) {
      abort(stream);
      return;
    }
    join(socket, stream, onFailure);
  }
}

const portFlag = (port: number): string => `local port ${port}`;

/** Carries bytes, ends and failures both ways. */
function join(socket: Socket, stream: Duplex, onFailure: (error: Error) => void): void {
  let hasFailed = false;
  const fail = (error: Error) => {
    if (hasFailed) return;
    hasFailed = true;
    // A client that resets its own connection needs no line.
    if (!socket.errored) onFailure(error);
    resetSocket(socket);
    abort(stream);
  };
  socket.pipe(stream);
  stream.pipe(socket, { end: false });
  // An HTTP/2 stream that was reset emits 'end' as if all were well; the error follows within the turn.
  const onEnd = () =>
    setImmediate(() => {
      if (!hasFailed && !wasReset(stream)) socket.end();
    });
  const onClose = () => {
    if (wasReset(stream) || !stream.readableEnded) fail(new ClientError('stream_lost', resetText));
  };
  stream.on('error', (error) => fail(toClientError(error)));
  stream.once('end', onEnd);
  stream.once('close', onClose);
  // Both may have come before somebody listened.
  if (stream.closed) onClose();
  if (stream.readableEnded) onEnd();
  socket.once('close', () => {
    if (!stream.readableEnded || !stream.writableFinished) abort(stream);
  });
}

/** So that the other side sees a failure and not an end, where the protocol can tell. */
function abort(stream: Duplex): void {
  if (isHttp2Stream(stream)) resetHttp2Stream(stream);
  else stream.destroy();
}
