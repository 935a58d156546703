import { randomInt } from 'node:crypto';
import {
  decodePacket,
  encodeDataHead,
  encodePacket,
  MessageDecoder,
  PROXY_METHOD,
} from '@fairlead/konnectivity';
import { formatTarget } from '@fairlead/protocol';
import type { ClientHttp2Session, ClientHttp2Stream } from 'http2-wrapper';
import { ClientError, toClientError } from './client-error.ts';
import type { ClientHandler, ClientStream } from './client-stream.ts';
import { cancelHttp2Stream, connectionErrorOf, openHttp2Session } from './http2-session.ts';
import type { Route } from './route.ts';

const maxRandom = 2 ** 31;

/**
 * A stream over Konnectivity's gRPC ProxyService, on a connection of its own, like kube-apiserver in GRPC
 * mode.
 */
export class GrpcStream implements ClientStream {
  readonly #session: ClientHttp2Session;
  readonly #stream: ClientHttp2Stream;
  readonly #handler: ClientHandler;
  #connectId = 0n;
  #error: Error | undefined;

  constructor(route: Route, handler: ClientHandler) {
    this.#handler = handler;
    this.#session = openHttp2Session(route);
    const stream = this.#session.request({
      ':method': 'POST',
      ':path': PROXY_METHOD,
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
    const messages = new MessageDecoder((message) => this.#onMessage(message));
    stream.on('data', (chunk: Buffer) => {
      try {
        messages.push(chunk);
      } catch (error) {
        this.#fail(new ClientError('proxy_protocol', (error as Error).message, { cause: error }));
      }
    });
    stream.on('drain', () => handler.onDrain());
    stream.on('error', (error) => {
      this.#error ??= toClientError(error);
    });
    stream.once('close', () => {
      this.#session.destroy();
      handler.onClose(connectionErrorOf(this.#session) ?? this.#error);
    });
    const address = formatTarget(route.target);
    const random = BigInt(randomInt(maxRandom));
    stream.write(encodePacket({ type: 'DIAL_REQ', protocol: 'tcp', address, random }));
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
    this.#stream.write(encodePacket({ type: 'CLOSE_REQ', connectId: this.#connectId }));
  }

  destroy(): void {
    cancelHttp2Stream(this.#stream);
  }

  #onMessage(message: Buffer): void {
    const packet = decodePacket(message);
    switch (packet?.type) {
      case 'DIAL_RSP':
        if (packet.error !== '') return this.#fail(new ClientError('dial_failed', packet.error));
        this.#connectId = packet.connectId;
        this.#handler.onOpen();
        break;
      case 'DATA':
        this.#handler.onData(packet.data);
        break;
      case 'CLOSE_RSP':
        this.#stream.end();
        break;
    }
  }

  #fail(error: ClientError): void {
    this.#error ??= error;
    this.destroy();
  }
}
