import type { Socket } from 'node:net';
import { noteTick, TickShare } from '@fairlead/protocol';

/** One read can be a thousand requests. If a piece takes longer than this, the next ones are smaller. */
const MAX_PIECE_MS = 2;
const MAX_PIECE_BYTES = 65_536;
const MIN_PIECE_BYTES = 1_024;
/** What a peer may still send after `stop`, so that it can read why. */
const MAX_DISCARDED_BYTES = 1_048_576;

/**
 * Reads a socket so that one connection does not use a whole tick of the event loop, whatever its peer sends: in pieces,
 * and after the connection's share of the tick, in the next tick.
 */
export class PacedReader {
  readonly #socket: Socket;
  readonly #onPiece: (piece: Buffer) => void;
  readonly #tickShare: TickShare;
  /** Read from the socket and not yet passed on. */
  #unread: Buffer | undefined;
  #pieceBytes = MAX_PIECE_BYTES;
  #isResting = false;
  #isReading = false;
  #isStopped = false;
  #discardedBytes = 0;

  constructor(socket: Socket, onPiece: (piece: Buffer) => void) {
    this.#socket = socket;
    this.#onPiece = onPiece;
    this.#tickShare = new TickShare({
      pause: () => {
        this.#isResting = true;
      },
      resume: () => {
        this.#isResting = false;
        this.#read();
      },
    });
  }

  /** @param received what was already read from the socket */
  start(received: Buffer | undefined): void {
    this.#unread = received;
    this.#read();
  }

  /** The socket has read a chunk. */
  onChunk(chunk: Buffer): void {
    if (this.#isStopped) {
      this.#discardedBytes += chunk.length;
      if (this.#discardedBytes > MAX_DISCARDED_BYTES) this.#socket.destroy();
      return;
    }
    this.#unread = chunk;
    this.#read();
  }

  /** From now on, what arrives is discarded. A peer that sends much more is disconnected. */
  stop(): void {
    this.#isStopped = true;
    this.#unread = undefined;
    this.#socket.resume();
  }

  #read(): void {
    if (this.#isReading) return;
    this.#isReading = true;
    while (this.#unread && !this.#isResting && !this.#isStopped) {
      const chunk = this.#unread;
      const isLast = chunk.length <= this.#pieceBytes;
      this.#unread = isLast ? undefined : chunk.subarray(this.#pieceBytes);
      const startedAtMs = performance.now();
      noteTick();
      this.#tickShare.begin();
      this.#onPiece(isLast ? chunk : chunk.subarray(0, this.#pieceBytes));
      this.#tickShare.end();
      const isSlow = performance.now() - startedAtMs > MAX_PIECE_MS;
      const next = isSlow ? this.#pieceBytes / 4 : this.#pieceBytes * 2;
      this.#pieceBytes = Math.min(Math.max(next, MIN_PIECE_BYTES), MAX_PIECE_BYTES);
    }
    this.#isReading = false;
    if (this.#isStopped) return;
    if (this.#unread || this.#isResting) this.#socket.pause();
    else this.#socket.resume();
  }
}
