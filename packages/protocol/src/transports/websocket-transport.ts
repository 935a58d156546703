import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import { TickShare } from '../event-loop/tick-share.ts';
import { cleanText, TunnelError } from '../wire/errors.ts';
import type { Transport, TransportSink } from './transport.ts';

/**
 * A message and its header fill one TLS record. A vectored write is cut into records from its first byte. So the
 * receiver gets each message in one chunk and passes it on as a slice. If a message spanned chunks, ws would copy it.
 */
const RECORD_BYTES = 16_384;

/** Payloads up to this length have a header of two bytes, and longer ones of four (RFC 6455 section 5.2). */
const MAX_SHORT_PAYLOAD_BYTES = 125;

const MASK_BYTES = 4;

/** Normal closure and going away (RFC 6455 section 7.4.1). */
const ORDERLY_CLOSE_CODES: readonly number[] = [1000, 1001];

/** Options for `new WebSocket()` and `new WebSocketServer()` of a tunnel. */
export const webSocketOptions = {
  perMessageDeflate: false,
  /** Fairlead sends 16 KiB at most. Other implementations may send larger messages. */
  maxPayload: 1024 * 1024,
  /** With `autoPong`, ws would answer every PING of a peer that does not read the answers. */
  autoPong: false,
} as const;

/**
 * The mask of a client: zeros, which ws does not apply. Masking protects proxies from bytes that a script in a browser
 * chooses. Here the bytes are inside TLS, and there is no script.
 */
export function zeroMask(mask: Buffer): void {
  mask.fill(0);
}

/**
 * A transport in the binary messages of a WebSocket, for either side. Message boundaries have no meaning.
 *
 * Construct it within the `open` listener or the callback of `handleUpgrade`, before ws delivers the first message.
 */
export class WebSocketTransport implements Transport {
  readonly kind = 'websocket';
  readonly #webSocket: WebSocket;
  readonly #socket: Duplex;
  readonly #maskBytes: number;
  readonly #tickShare: TickShare;
  #sink: TransportSink | undefined;
  #error: Error | undefined;
  #closed = false;
  #ending = false;
  #destroyed = false;
  /** Payload of the latest unanswered PING. */
  #ping: Buffer | undefined;

  /**
   * @param webSocket open, made with `webSocketOptions`, and on a client with `zeroMask`
   * @param socket the connection below it
   * @param role this side's role in the handshake: clients mask
   */
  constructor(webSocket: WebSocket, socket: Duplex, role: 'client' | 'server') {
    this.#webSocket = webSocket;
    this.#socket = socket;
    this.#tickShare = new TickShare(webSocket);
    this.#maskBytes = role === 'client' ? MASK_BYTES : 0;
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

  /** Cuts the bytes into messages so that no payload spans two records. */
  write(bytes: Buffer, onSent: () => void): void {
    if (this.#isEnding()) return;
    const longHeader = 4 + this.#maskBytes;
    const shortHeader = 2 + this.#maskBytes;
    let filled = 0;
    this.#socket.cork();
    for (let sent = 0; sent < bytes.length; ) {
      // If the rest of the record holds at most a header, the payload begins in the next record.
      if (RECORD_BYTES - filled <= shortHeader) filled -= RECORD_BYTES;
      const longRoom = RECORD_BYTES - filled - longHeader;
      const shortRoom = Math.min(RECORD_BYTES - filled - shortHeader, MAX_SHORT_PAYLOAD_BYTES);
      const room = longRoom > MAX_SHORT_PAYLOAD_BYTES ? longRoom : shortRoom;
      const payload = Math.min(bytes.length - sent, room);
      const isLast = sent + payload === bytes.length;
      // ws also calls back with an error, which is ignored: the end of the connection follows.
      const message = bytes.subarray(sent, sent + payload);
      if (isLast) this.#webSocket.send(message, onSent);
      else this.#webSocket.send(message);
      filled += payload + (payload > MAX_SHORT_PAYLOAD_BYTES ? longHeader : shortHeader);
      sent += payload;
    }
    this.#socket.uncork();
  }

  end(): void {
    if (this.#isEnding()) return;
    this.#ending = true;
    this.#webSocket.close(ORDERLY_CLOSE_CODES[0]);
    // The peer's close frame must be read even before `start`.
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

  /** Also true if ws has answered the peer's close frame: then it would count later messages as unsent. */
  #isEnding(): boolean {
    return this.#ending || this.#webSocket.readyState !== this.#webSocket.OPEN;
  }

  /** With binaryType 'fragments', `data` is a list of buffers; for a text message it is one buffer. */
  readonly #onMessage = (data: unknown, isBinary: boolean): void => {
    if (!isBinary) {
      this.destroy(new TunnelError('protocol_error', 'the peer sent a WebSocket text message'));
      return;
    }
    this.#tickShare.begin();
    for (const chunk of data as Buffer[]) {
      // An empty message is valid. A proxy may send it as a keepalive.
      if (chunk.length > 0) this.#sink?.onBytes(chunk);
    }
    this.#tickShare.end();
  };

  /** If several PINGs wait, only the latest needs an answer (RFC 6455 section 5.5.3). */
  readonly #onPing = (data: Buffer): void => {
    const isWaiting = this.#ping !== undefined;
    this.#ping = data;
    if (!this.#socket.writableNeedDrain) this.#pong();
    else if (!isWaiting) this.#socket.once('drain', this.#pong);
  };

  readonly #pong = (): void => {
    const data = this.#ping;
    this.#ping = undefined;
    // ws also calls back with an error, which is ignored: the end of the connection follows.
    if (data && !this.#isEnding()) this.#webSocket.pong(data, undefined, () => {});
  };

  /** ws has sent a close frame and would wait 30 s for the answer of a peer that violated the protocol. */
  readonly #onError = (error: Error): void => {
    this.#error ??= error;
    this.#webSocket.terminate();
  };

  readonly #onClose = (code: number, reason: Buffer): void => {
    this.#closed = true;
    if (!this.#destroyed && !ORDERLY_CLOSE_CODES.includes(code)) {
      const shownReason = reason.length > 0 ? ` (${cleanText(reason.toString())})` : '';
      this.#error ??= new TunnelError(
        'tunnel_lost',
        `the WebSocket closed with ${code}${shownReason}`,
      );
    }
    this.#report();
  };

  readonly #report = (): void => {
    const sink = this.#sink;
    this.#sink = undefined;
    sink?.onClose(this.#error);
  };
}
