import { latestTurnMs, noteTurn } from '../event-loop/tick-clock.ts';
import type { Transport } from '../transports/transport.ts';
import { FrameBatch } from '../wire/encode.ts';
import { PING_FRAME_BYTES } from '../wire/frame.ts';
import { releaseFrameBuffer } from '../wire/frame-buffer.ts';
import { InFlightLimit } from './in-flight-limit.ts';
import { SendTurns } from './send-scheduler.ts';

/**
 * Bulk in one write, exceeded by the last frame: eight full frames, which are sixteen whole TLS records. Fewer
 * wake the processes behind this one more often than they have work for.
 */
const FLUSH_BYTES = 7 * 32_768 + 1;
/** With more than this not taken by the kernel nothing is added: two flushes keep it busy. */
const MAX_UNSENT_BYTES = 400_000;
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
  /** Handed to the transport, not taken by the kernel. */
  #unsentBytes = 0;
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
    if (this.#isClosed) return;
    if (this.control.bytes > MAX_CONTROL_BYTES) return this.#onOverflow();
    if (this.#isScheduled || this.#isBlocked) return;
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

  /** Sends what waits, streams' data excepted, and ends the transport. */
  end(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    if (this.control.bytes > 0) this.#write();
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
    this.#write();
    turns.notifyDrained();
    if (!this.#isBlocked && this.#isHeldBack && inFlight.roomBytes > 0) this.schedule();
  }

  #write(): void {
    const { buffer, bytes } = this.control.take();
    this.#unsentBytes += bytes;
    this.#transport.write(buffer.subarray(0, bytes), () => {
      releaseFrameBuffer(buffer);
      this.#unsentBytes -= bytes;
      if (!this.#isBlocked || this.#unsentBytes >= MAX_UNSENT_BYTES) return;
      this.#isBlocked = false;
      this.schedule();
    });
    this.#isBlocked = this.#unsentBytes >= MAX_UNSENT_BYTES;
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
