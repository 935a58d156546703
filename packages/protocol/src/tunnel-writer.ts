import { FrameBatch } from './encode.ts';
import { PING_FRAME_BYTES } from './frame.ts';
import { InFlightLimit } from './in-flight-limit.ts';
import { SendTurns } from './send-turns.ts';
import type { Transport } from './transport.ts';
import { latestTurnMs, noteTurn } from './turn-clock.ts';

/** Bulk in one write: enough to keep the kernel busy, little enough that control frames soon follow. */
const FLUSH_BYTES = 262_144;
/** By how much control frames and interactive streams may pass the bound (spec 5.4). */
const BYPASS_BYTES = 65_536;
/** Control frames that may wait for a peer that does not read (spec 8.1). */
const MAX_CONTROL_BYTES = 4 * 1_048_576;

/**
 * The way out of a session: gathers what is to be sent during a turn of the event loop and
 * hands it to the transport in one write at the turn's end: control frames, then streams in turn.
 */
export class TunnelWriter {
  /** Control frames are put in here; `schedule` sends them. */
  readonly control = new FrameBatch();
  readonly turns = new SendTurns();
  readonly inFlight = new InFlightLimit();
  readonly #transport: Transport;
  readonly #onOverflow: () => void;
  /** The latest PING that waits for its PONG. */
  readonly #pingToAnswer = Buffer.alloc(8);
  #hasPingToAnswer = false;
  #pingWanted = false;
  #isScheduled = false;
  #isBlocked = false;
  #isClosed = false;
  #sentBytes = 0;
  readonly #flush = () => this.#onTurnEnd();

  /** @param onOverflow the peer does not read and too many control frames wait */
  constructor(transport: Transport, onOverflow: () => void) {
    this.#transport = transport;
    this.#onOverflow = onOverflow;
  }

  /** All bytes handed to the transport. */
  get sentBytes(): number {
    return this.#sentBytes;
  }

  /** Sends at the end of this turn of the event loop. */
  schedule(): void {
    if (this.#isScheduled || this.#isClosed) return;
    if (this.#isBlocked) {
      if (this.control.bytes > MAX_CONTROL_BYTES) this.#onOverflow();
      return;
    }
    this.#isScheduled = true;
    noteTurn();
    setImmediate(this.#flush);
  }

  /** Sends a PING with the next write. */
  requestPing(): void {
    this.#pingWanted = true;
    this.schedule();
  }

  /** Answers a PING with the next write; of several only the latest (spec 7.4). */
  answerPing(opaque: Buffer): void {
    opaque.copy(this.#pingToAnswer);
    this.#hasPingToAnswer = true;
    this.schedule();
  }

  onPong(mark: number, peerTurnMs: number): void {
    this.inFlight.onPong(mark, performance.now(), peerTurnMs, latestTurnMs());
    if (this.turns.hasBulk || this.turns.hasInteractive) this.schedule();
  }

  onDrain(): void {
    this.#isBlocked = false;
    this.schedule();
  }

  /** Sends what waits, streams' data excepted, and ends the transport. */
  end(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    if (this.control.bytes > 0) this.#transport.write(this.control.take());
    this.#transport.end();
  }

  /** Nothing is sent from here on. */
  close(): void {
    this.#isClosed = true;
  }

  #onTurnEnd(): void {
    this.#isScheduled = false;
    if (this.#isClosed || this.#isBlocked) return;
    const { control: batch, turns, inFlight } = this;
    if (this.#hasPingToAnswer) {
      this.#hasPingToAnswer = false;
      batch.pong(this.#pingToAnswer, Math.round(latestTurnMs() * 1000));
    }
    inFlight.onSent(batch.bytes, performance.now());
    // A probe leaves alone: in one TLS record with data it would wait for the data to arrive.
    if (inFlight.wantsProbe) this.#mark();
    else this.#fill();
    if (batch.bytes === 0) return;
    this.#sentBytes += batch.bytes;
    this.#isBlocked = !this.#transport.write(batch.take());
    turns.notifyDrained();
    if (!this.#isBlocked && this.#isHeldBack && inFlight.roomBytes > 0) this.schedule();
  }

  /** Adds what streams have to send, with marks in between, as far as the bound allows. */
  #fill(): void {
    const { control: batch, turns, inFlight } = this;
    for (let left = FLUSH_BYTES; left > 0; ) {
      const before = batch.bytes;
      const room = inFlight.roomBytes;
      const slice = Math.min(left, inFlight.markEveryBytes);
      turns.fill(batch, Math.min(room, slice), Math.min(room + BYPASS_BYTES, slice));
      const filled = batch.bytes - before;
      if (filled > 0) inFlight.onSent(filled, performance.now());
      const isDue = this.#pingWanted || inFlight.wantsMark(performance.now());
      if (isDue || (this.#isHeldBack && inFlight.isBlind)) {
        this.#mark();
      }
      if (filled === 0 || !this.#isHeldBack) return;
      left -= filled;
    }
  }

  get #isHeldBack(): boolean {
    return this.turns.hasBulk || this.turns.hasInteractive;
  }

  #mark(): void {
    const nowMs = performance.now();
    this.#pingWanted = false;
    this.inFlight.onSent(PING_FRAME_BYTES, nowMs);
    this.control.ping(this.inFlight.mark(nowMs, !this.#isHeldBack));
  }
}
