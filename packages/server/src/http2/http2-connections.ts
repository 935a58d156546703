import type { Socket } from 'node:net';
import { type ConnectionHandler, type ConnectionOptions, Http2Connection } from '@fairlead/http2';
import { toGrpcError } from '@fairlead/konnectivity';
import { largestOf, MemoryBudget, type TunnelError } from '@fairlead/protocol';
import { refuseHttp2 } from '../listeners/refusal.ts';
import { isGrpc, refuseGrpc } from './grpc-answer.ts';

export interface Http2Options extends Omit<ConnectionOptions, 'memory'> {
  /** Counts the bytes that connections hold; without it they are not limited together. */
  readonly memory?: MemoryBudget | undefined;
}

/** The HTTP/2 connections of a front end or of the agent port. */
export class Http2Connections {
  readonly #options: ConnectionOptions;
  readonly #open = new Set<Http2Connection>();

  constructor(options: Http2Options) {
    const memory = options.memory ?? new MemoryBudget(Number.POSITIVE_INFINITY);
    this.#options = { ...options, memory };
    memory.addFinder(() => largestOf(this.#open));
  }

  /** Those that are open. */
  get open(): ReadonlySet<Http2Connection> {
    return this.#open;
  }

  /** Serves a connection. @param received what was already read from the socket */
  take(socket: Socket, handler: ConnectionHandler, received?: Buffer): void {
    const connection = new Http2Connection(socket, this.#options, {
      onRequest: (stream) => handler.onRequest(stream, connection),
      onSilent: () => handler.onSilent(),
      onClose: () => this.#open.delete(connection),
    });
    this.#open.add(connection);
    connection.start(received);
  }

  /** Answers the requests of a refused peer with the reason, and closes the connection. */
  refuse(socket: Socket, error: TunnelError): void {
    this.take(socket, {
      onRequest: (stream, connection) => {
        if (isGrpc(stream.request)) refuseGrpc(stream, toGrpcError(error));
        else refuseHttp2(stream, error, performance.now());
        connection.closeSoon();
      },
      onSilent() {},
    });
  }
}
