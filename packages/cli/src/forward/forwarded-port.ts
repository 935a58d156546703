import { createServer, type Server, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { ClientError, openDuplex, type Route, toClientError } from '@fairlead/client';
import { resetSocket } from '@fairlead/protocol';
import { bind } from '@fairlead/runtime/net';
import { isHttp2Stream, resetHttp2Stream, wasReset } from './http2-reset.ts';

const resetText = 'the connection was reset by the target or on the way to it';

interface ForwardedPortOptions {
  readonly route: Route;
  readonly host: string;
  /** 0 lets the system pick one. */
  readonly port: number;
  readonly timeoutMs: number;
  onConnection(): void;
  /** No stream could be opened for a connection, or it failed later. */
  onFailure(error: Error): void;
}

/**
 * Opens a local port whose connections become streams to one target.
 * @throws StartupError
 */
export async function forwardPort(options: ForwardedPortOptions): Promise<Server> {
  const { host, port, onFailure } = options;
  // A connection is not read before its stream is open. Early bytes wait in the kernel.
  const settings = { allowHalfOpen: true, noDelay: true, pauseOnConnect: true };
  const server = createServer(settings, (socket) => void serve(socket, options));
  await bind(server, { flag: `local port ${port}`, host, port });
  return server.on('error', onFailure);
}

async function serve(
  socket: Socket,
  { route, timeoutMs, onConnection, onFailure }: ForwardedPortOptions,
): Promise<void> {
  onConnection();
  // The client can disconnect while the stream is being opened.
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
  if (socket.destroyed) abort(stream);
  else join(socket, stream, onFailure);
}

/** Joins connection and stream: bytes, ends and failures in both directions. */
function join(socket: Socket, stream: Duplex, onFailure: (error: Error) => void): void {
  let hasFailed = false;
  const fail = (error: Error) => {
    if (hasFailed) return;
    hasFailed = true;
    // A reset by the client itself is not a failure.
    if (!socket.errored) onFailure(error);
    resetSocket(socket);
    abort(stream);
  };
  socket.pipe(stream);
  stream.pipe(socket, { end: false });
  // An HTTP/2 stream that was reset emits 'end' first, and the error later in the same tick.
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
  // Both can have happened before the listeners were added.
  if (stream.closed) onClose();
  if (stream.readableEnded) onEnd();
  socket.once('close', () => {
    if (!stream.readableEnded || !stream.writableFinished) abort(stream);
  });
}

/** Ends the stream with a failure, if the protocol can express one, instead of an end. */
function abort(stream: Duplex): void {
  if (isHttp2Stream(stream)) resetHttp2Stream(stream);
  else stream.destroy();
}
