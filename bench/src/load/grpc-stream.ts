import type { ClientHttp2Session, ClientHttp2Stream } from 'node:http2';
import {
  encodeCloseRequest,
  encodeDataHead,
  encodeDialRequest,
  type PacketHandler,
  PacketReader,
} from './grpc-packet.ts';
import { openHttp2Session } from './http2-session.ts';
import type { LoadHandler, LoadStream } from './load-stream.ts';
import type { Route } from './route.ts';

const maxRandom = 2 ** 31;

/**
 * A stream by Konnectivity's gRPC ProxyService, on a connection of its own, as kube-apiserver
 * does it in GRPC mode.
 */
export class GrpcStream implements LoadStream, PacketHandler {
  readonly #session: ClientHttp2Session;
  readonly #stream: ClientHttp2Stream;
  readonly #handler: LoadHandler;
  #connectId = 0;
  #error: Error | undefined;

  constructor(route: Route, handler: LoadHandler) {
    this.#handler = handler;
    this.#session = openHttp2Session(route);
    this.#session.on('error', this.#onError);
    const stream = this.#session.request({
      ':method': 'POST',
      ':path': '/ProxyService/Proxy',
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    this.#stream = stream;
    const packets = new PacketReader(this);
    stream.on('data', (chunk: Buffer) => packets.push(chunk));
    stream.on('drain', () => handler.onDrain());
    stream.on('error', this.#onError);
    stream.once('close', () => {
      this.#session.destroy();
      handler.onClose(this.#error);
    });
    stream.write(encodeDialRequest(route.target, Math.floor(Math.random() * maxRandom)));
  }

  onDialResponse(connectId: number, error: string): void {
    if (error !== '') {
      this.#onError(new Error(`the dial failed: ${error}`));
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
    this.#stream.close();
  }

  readonly #onError = (error: Error): void => {
    this.#error ??= error;
  };
}
