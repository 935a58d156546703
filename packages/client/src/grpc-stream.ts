import type { ClientHttp2Session, ClientHttp2Stream } from 'http2-wrapper';
import { ClientError, toClientError } from './client-error.ts';
import type { ClientHandler, ClientStream } from './client-stream.ts';
import {
  encodeCloseRequest,
  encodeDataHead,
  encodeDialRequest,
  type PacketHandler,
  PacketReader,
} from './grpc-packet.ts';
import { cancelHttp2Stream, connectionErrorOf, openHttp2Session } from './http2-session.ts';
import type { Route } from './route.ts';

const maxRandom = 2 ** 31;

/**
 * A stream over Konnectivity's gRPC ProxyService, on a connection of its own, like kube-apiserver in GRPC
 * mode.
 */
export class GrpcStream implements ClientStream, PacketHandler {
  readonly #session: ClientHttp2Session;
  readonly #stream: ClientHttp2Stream;
  readonly #handler: ClientHandler;
  #connectId = 0;
  #error: Error | undefined;

  constructor(route: Route, handler: ClientHandler) {
    this.#handler = handler;
    this.#session = openHttp2Session(route);
    const stream = this.#session.request({
      ':method': 'POST',
      ':path': '/ProxyService/Proxy',
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    this.#stream = stream;
    stream.once('response', (headers) => {
      const status = headers[':status'];
      if (status !== 200) {
        this.#error ??= new ClientError(
          `status_${status}`,
          `the gRPC call was answered with ${status}`,
        );
      }
    });
    const packets = new PacketReader(this);
    stream.on('data', (chunk: Buffer) => packets.push(chunk));
    stream.on('drain', () => handler.onDrain());
    stream.on('error', this.#onError);
    stream.once('close', () => {
      this.#session.destroy();
      handler.onClose(connectionErrorOf(this.#session) ?? this.#error);
    });
    stream.write(encodeDialRequest(route.target, Math.floor(Math.random() * maxRandom)));
  }

  onDialResponse(connectId: number, error: string): void {
    if (error !== '') {
      this.#error ??= new ClientError('dial_failed', error);
      this.destroy();
      return;
    }
    this.#connectId = connectId;
    this.#handler.onOpen();
  }

  onData(payload: Buffer): void {
    this.#handler.onData(payload);
  }

  onCloseResponse(): void {
    this.#stream.end();
  }

  write(chunk: Buffer): boolean {
    const stream = this.#stream;
    stream.cork();
    stream.write(encodeDataHead(this.#connectId, chunk.length));
    const room = stream.write(chunk);
    stream.uncork();
    return room;
  }

  stall(): void {
    this.#stream.pause();
  }

  end(): void {
    this.#stream.write(encodeCloseRequest(this.#connectId));
  }

  destroy(): void {
    cancelHttp2Stream(this.#stream);
  }

  readonly #onError = (error: Error): void => {
    this.#error ??= toClientError(error);
  };
}
