import type { Socket } from 'node:net';
import { formatTarget } from '@fairlead/protocol';
import { toClientError, unanswered } from './client-error.ts';
import type { ClientHandler, ClientStream } from './client-stream.ts';
import { ConnectAnswer } from './connect-answer.ts';
import { dialFrontEnd, readyEvent } from './dial-front-end.ts';
import type { Route } from './route.ts';

/** All sockets read into this buffer. Handlers do not keep its bytes, so a read allocates nothing. */
const readBuffer = Buffer.allocUnsafeSlow(65_536);

export function connectRequest({ target }: Route): string {
  const authority = formatTarget(target);
  return `CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n\r\n`;
}

/** A stream on a connection of its own, after an HTTP/1.1 CONNECT or without one, over UDS, TCP or TLS. */
export class SocketStream implements ClientStream {
  readonly #socket: Socket;
  readonly #handler: ClientHandler;
  /** The answer to CONNECT; undefined when it is complete. */
  #answer: ConnectAnswer | undefined;
  #error: Error | undefined;
  #stalled = false;
  #isOurEnd = false;

  constructor(route: Route, handler: ClientHandler) {
    this.#handler = handler;
    const usesConnect = route.by === 'connect';
    if (usesConnect) this.#answer = new ConnectAnswer();
    const socket = dialFrontEnd(route, {
      alpn: 'http/1.1',
      onread: {
        buffer: readBuffer,
        callback: (bytes) => this.#onBytes(readBuffer.subarray(0, bytes)),
      },
    });
    this.#socket = socket;
    socket.once(readyEvent(route), () => {
      if (usesConnect) socket.write(connectRequest(route));
      else handler.onOpen();
    });
    socket.on('drain', () => handler.onDrain());
    socket.on('error', (error) => {
      this.#error ??= toClientError(error);
    });
    socket.once('close', () => handler.onClose(this.#error ?? this.#unanswered()));
  }

  write(chunk: Buffer): boolean {
    return this.#socket.write(chunk);
  }

  stall(): void {
    this.#stalled = true;
    this.#socket.pause();
  }

  end(): void {
    this.#socket.end();
  }

  destroy(): void {
    this.#isOurEnd = true;
    this.#socket.destroy();
  }

  #unanswered(): Error | undefined {
    if (this.#answer === undefined || this.#isOurEnd) return undefined;
    return this.#answer.refusal() ?? unanswered(false);
  }

  /** @returns whether to read on */
  #onBytes(bytes: Buffer): boolean {
    if (this.#answer === undefined) this.#handler.onData(bytes);
    else this.#onAnswer(this.#answer, bytes);
    return !this.#stalled;
  }

  #onAnswer(answer: ConnectAnswer, bytes: Buffer): void {
    let rest: Buffer | undefined;
    try {
      rest = answer.push(bytes);
    } catch (error) {
      this.#socket.destroy(error as Error);
      return;
    }
    if (rest === undefined) return;
    this.#answer = undefined;
    this.#handler.onOpen();
    if (rest.length > 0) this.#handler.onData(rest);
  }
}
