import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import { TurnShare } from '../event-loop/tick-share.ts';
import { cleanText, TunnelError } from '../wire/errors.ts';
import type { Transport, TransportSink } from './transport.ts';

/**
 * A message, its header included, fills one TLS record. What leaves in one vectored write is cut
 * into records from its first byte, so a receiver finds each message whole in one chunk and passes
 * it on as a slice; a message across chunks would be copied together by ws.
 */
const recordBytes = 16_384;

/** RFC 6455 section 5.2: payloads up to this length have a header of two bytes, ours else four. */
const maxShortPayloadBytes = 125;

const maskBytes = 4;

/** RFC 6455 section 7.4.1: normal closure, going away. */
const cleanCloseCodes: readonly number[] = [1000, 1001];

/** Options for `new WebSocket()` and `new WebSocketServer()` of a tunnel. */
export const webSocketOptions = {
  perMessageDeflate: false,
  /** We send 16 KiB at most; other implementations may send larger messages. */
  maxPayload: 1024 * 1024,
  /** ws would answer each PING of a peer that reads none of the answers. */
  autoPong: false,
} as const;

/**
 * The mask of a client: zeros, which ws does not even apply. Masking protects proxies from bytes
 * that a script chose; ours are inside TLS, and there is no script.
 */
export function zeroMask(mask: Buffer): void {
  mask.fill(0);
}

/**
 * A transport in the binary messages of a WebSocket, either side. Message boundaries mean nothing.
 *
 * To be constructed right in the `open` listener or the callback of `handleUpgrade`, before ws
 * delivers the first message.
 */
export class WebSocketTransport implements Transport {
  readonly kind = 'websocket';
  readonly #webSocket: WebSocket;
  readonly #socket: Duplex;
  readonly #maskBytes: number;
  readonly #turnShare: TurnShare;
  #sink: TransportSink | undefined;
  #error: Error | undefined;
  #closed = false;
  #ending = false;
  #destroyed = false;
  /** What the last PING said that is not answered. */
  #ping: Buffer | undefined;

  /**
   * @param webSocket an open one, made with `webSocketOptions`, on a client with `zeroMask`
   * @param socket what lies under it
   * @param role the side of the handshake that we took: clients mask
   */
  constructor(webSocket: WebSocket, socket: Duplex, role: 'client' | 'server') {
    this.#webSocket = webSocket;
    this.#socket = socket;
    this.#turnShare = new TurnShare(webSocket);
    this.#maskBytes = role === 'client' ? maskBytes : 0;
    webSocket.binaryType = 'fragments';
    webSocket.pause();
    webSocket.on('message', this.#onMessage);
    webSocket.on('ping', this.#onPing);
    webSocket.on('error', this.#onError);
    webSocket.on('close', this.#onClose);
  }

  start(sink: TransportSink): void {
    this.#sink = sink;
    if (this.#closed) {
      process.nextTick(this.#report);
      return;
    }
    this.#webSocket.resume();
  }

  /** Sends messages none of which has its payload in two records. */
  write(bytes: Buffer, onSent: () => void): void {
    if (this.#isEnding()) return;
    const longHeader = 4 + this.#maskBytes;
    const shortHeader = 2 + this.#maskBytes;
    let filled = 0;
    this.#socket.cork();
    for (let sent = 0; sent < bytes.length; ) {
      // What is left of the record may hold no more than a part of a header: payload comes after.
      if (recordBytes - filled <= shortHeader) filled -= recordBytes;
      const longRoom = recordBytes - filled - longHeader;
      const shortRoom = Math.min(recordBytes - filled - shortHeader, maxShortPayloadBytes);
      const room = longRoom > maxShortPayloadBytes ? longRoom : shortRoom;
      const payload = Math.min(bytes.length - sent, room);
      const isLast = sent + payload === bytes.length;
      // ws calls back with an error, too, where the end of the connection says more.
      const message = bytes.subarray(sent, sent + payload);
      if (isLast) this.#webSocket.send(message, onSent);
      else this.#webSocket.send(message);
      filled += payload + (payload > maxShortPayloadBytes ? longHeader : shortHeader);
      sent += payload;
    }
    this.#socket.uncork();
  }

  end(): void {
    if (this.#isEnding()) return;
    this.#ending = true;
    this.#webSocket.close(cleanCloseCodes[0]);
    // The peer's close frame has to be read even if nobody started us.
    this.#webSocket.resume();
  }

  destroy(error?: Error): void {
    if (this.#destroyed || this.#closed) return;
    this.#ending = true;
    this.#destroyed = true;
    if (error !== undefined) this.#error ??= error;
    this.#webSocket.off('message', this.#onMessage);
    this.#webSocket.terminate();
  }

  /** Ours, or ws answered the peer's close frame and would count later messages as unsent. */
  #isEnding(): boolean {
    return this.#ending || this.#webSocket.readyState !== this.#webSocket.OPEN;
  }

  /** With binaryType 'fragments' data is a list of buffers; for a text message it is one buffer. */
  readonly #onMessage = (data: unknown, isBinary: boolean): void => {
    if (!isBinary) {
      this.destroy(new TunnelError('protocol_error', 'the peer sent a WebSocket text message'));
      return;
    }
    this.#turnShare.begin();
    for (const chunk of data as Buffer[]) {
      // An empty message is legal, and may be what a proxy takes for a keepalive.
      if (chunk.length > 0) this.#sink?.onBytes(chunk);
    }
    this.#turnShare.end();
  };

  /** RFC 6455 section 5.5.3: of several PINGs that wait for an answer only the last one needs it. */
  readonly #onPing = (data: Buffer): void => {
    const isWaiting = this.#ping !== undefined;
    this.#ping = data;
    if (!this.#socket.writableNeedDrain) this.#pong();
    else if (!isWaiting) this.#socket.once('drain', this.#pong);
  };

  readonly #pong = (): void => {
    const data = this.#ping;
    this.#ping = undefined;
    // ws calls back with an error, too, where the end of the connection says more.
    if (data && !this.#isEnding()) this.#webSocket.pong(data, undefined, () => {});
  };

  /** ws has sent a close frame and would wait 30 s for an answer from a peer that broke the rules. */
  readonly #onError = (error: Error): void => {
    this.#error ??= error;
    this.#webSocket.terminate();
  };

  readonly #onClose = (code: number, reason: Buffer): void => {
    this.#closed = true;
    if (!this.#destroyed && !cleanCloseCodes.includes(code)) {
      const why = reason.length > 0 ? ` (${cleanText(reason.toString())})` : '';
      this.#error ??= new TunnelError('tunnel_lost', `the WebSocket closed with ${code}${why}`);
    }
    this.#report();
  };

  readonly #report = (): void => {
    const sink = this.#sink;
    this.#sink = undefined;
    sink?.onClose(this.#error);
  };
}
