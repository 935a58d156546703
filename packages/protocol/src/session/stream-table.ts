import { TunnelError } from '../wire/errors.ts';
import type { SessionStream } from './stream.ts';

/** The open streams of a session by ID, and which IDs were used (spec 3.1, 3.2). */
export class StreamTable {
  /** Open streams. Change it only with `add` and `delete`. */
  readonly byId = new Map<number, SessionStream>();
  #nextOwnId: number;
  /** The highest ID that the peer has opened. */
  #lastPeerId = 0;
  #peerCount = 0;

  /** @param firstOwnId the first ID for a stream of this side, which decides the parity of this side's IDs */
  constructor(firstOwnId: number) {
    this.#nextOwnId = firstOwnId;
  }

  get nextOwnId(): number {
    return this.#nextOwnId;
  }

  get lastPeerId(): number {
    return this.#lastPeerId;
  }

  /** Open streams that this side has opened. */
  get ownCount(): number {
    return this.byId.size - this.#peerCount;
  }

  /** Open streams that the peer has opened. */
  get peerCount(): number {
    return this.#peerCount;
  }

  /** Whether a stream waits for OPENED. */
  get hasOpening(): boolean {
    for (const stream of this.byId.values()) if (stream.isOpening) return true;
    return false;
  }

  isOwn(id: number): boolean {
    return (id & 1) === (this.#nextOwnId & 1);
  }

  /** Adds a stream that this side or the peer opens with the next ID. */
  add(stream: SessionStream): void {
    this.byId.set(stream.id, stream);
    if (this.isOwn(stream.id)) {
      this.#nextOwnId = stream.id + 2;
    } else {
      this.#lastPeerId = stream.id;
      this.#peerCount++;
    }
  }

  delete(stream: SessionStream): void {
    this.byId.delete(stream.id);
    if (!this.isOwn(stream.id)) this.#peerCount--;
  }

  /**
   * The stream of a frame; undefined if it has closed (spec 3.8).
   * @throws TunnelError `stream_id_error` if it was never opened (spec 3.9)
   */
  find(id: number): SessionStream | undefined {
    const stream = this.byId.get(id);
    if (stream) return stream;
    if (this.isOwn(id) ? id >= this.#nextOwnId : id > this.#lastPeerId) {
      throw new TunnelError('stream_id_error', `a frame for stream ${id}, which was never opened`);
    }
    return undefined;
  }

  /** Resets the streams that wait for OPENED. */
  resetOpening(error: TunnelError): void {
    for (const stream of [...this.byId.values()]) if (stream.isOpening) stream.reset(error);
  }

  /** Ends all streams. Nothing is sent. */
  endAll(error: TunnelError): void {
    for (const stream of [...this.byId.values()]) stream.onReset(error);
  }

  /**
   * Ends this side's streams above `lastId`, which the peer has not processed. They may be tried on another agent,
   * whatever ended the session (spec 6.1).
   */
  endUnprocessed(lastId: number, error: TunnelError): void {
    if (error.retryElsewhere) return;
    for (const stream of [...this.byId.values()]) {
      if (this.isOwn(stream.id) && stream.id > lastId) {
        stream.onReset(new TunnelError('tunnel_lost', error.message, { cause: error }));
      }
    }
  }
}
