import { latestTickMs, noteTick } from '../event-loop/tick-clock.ts';
import type { Transport } from '../transports/transport.ts';
import { FrameBatch } from '../wire/encode.ts';
import { PING_FRAME_BYTES } from '../wire/frame.ts';
import { releaseFrameBuffer } from '../wire/frame-buffer.ts';
import { InFlightLimit } from './in-flight-limit.ts';
import { type Sender, SendScheduler } from './send-scheduler.ts';

/**
 * Bulk in one write, which the last frame may exceed: eight full frames are sixteen whole TLS records. Fewer would
 * wake the receiving processes more often than they have work.
 */
const FLUSH_BYTES = 7 * 32_768 + 1;
/** While the kernel has not taken this much, nothing is added: two flushes keep the kernel busy. */
const MAX_UNSENT_BYTES = 400_000;
/** By how much control frames and interactive streams may exceed the bound (spec 5.4). */
const BYPASS_BYTES = 65_536;
/** Control frames that may wait for a peer that does not read (spec 8.1). */
const MAX_CONTROL_BYTES = 4 * 1_048_576;

/**
 * The output of a session. Gathers frames during a tick of the event loop and hands them to the transport in one
 * write at the end of the tick: control frames first, then what the scheduler chooses.
 */
export class TunnelWriter {
  /** Frames for the next write. Call `schedule` after each control frame. */
  readonly control = new FrameBatch();
  readonly inFlight = new InFlightLimit();
  readonly #scheduler = new SendScheduler();
  readonly #transport: Transport;
  readonly #onOverflow: () => void;
  /** Payload of the latest unanswered PING. */
  readonly #pingToAnswer = Buffer.alloc(8);
  #hasPingToAnswer = false;
  #pingWanted = false;
  #isScheduled = false;
  #isBlocked = false;
  /** Handed to the transport and not taken by the kernel. */
  #unsentBytes = 0;
  #isClosed = false;
  #sentBytes = 0;
  readonly #flush = () => this.#onTickEnd();

  /** @param onOverflow called when the peer does not read and too many control frames wait */
  constructor(transport: Transport, onOverflow: () => void) {
    this.#transport = transport;
    this.#onOverflow = onOverflow;
  }

  /** All bytes handed to the transport. */
  get sentBytes(): number {
    return this.#sentBytes;
  }

  /** Sends at the end of this tick. */
  schedule(): void {
    if (this.#isClosed) return;
    if (this.control.bytes > MAX_CONTROL_BYTES) return this.#onOverflow();
    if (this.#isScheduled || this.#isBlocked) return;
    this.#isScheduled = true;
    noteTick();
    setImmediate(this.#flush);
  }

  /** Queues a stream that has something to send. */
  add(sender: Sender): void {
    this.#scheduler.add(sender);
    this.schedule();
  }

  /** Sends a PING with the next write. */
  requestPing(): void {
    this.#pingWanted = true;
    this.schedule();
  }

  /** Answers a PING with the next write. If several wait, only the latest is answered (spec 7.4). */
  answerPing(opaque: Buffer): void {
    opaque.copy(this.#pingToAnswer);
    this.#hasPingToAnswer = true;
    this.schedule();
  }

  onPong(mark: number, peerBusyMs: number): void {
    this.inFlight.onPong(mark, performance.now(), peerBusyMs, latestTickMs());
    if (this.#hasSenders) this.schedule();
  }

  /** Sends the waiting control frames, drops the data of streams, and ends the transport. */
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

  get #hasSenders(): boolean {
    return this.#scheduler.hasBulk || this.#scheduler.hasInteractive;
  }

  #onTickEnd(): void {
    this.#isScheduled = false;
    if (this.#isClosed || this.#isBlocked) return;
    const { control: batch, inFlight } = this;
    if (this.#hasPingToAnswer) {
      this.#hasPingToAnswer = false;
      batch.pong(this.#pingToAnswer, Math.round(latestTickMs() * 1000));
    }
    inFlight.onSent(batch.bytes, performance.now());
    // A probe leaves alone. In one TLS record with data, it would wait until all of the data arrives.
    if (inFlight.wantsProbe) this.#mark();
    else this.#fill();
    if (batch.bytes === 0) return;
    this.#sentBytes += batch.bytes;
    this.#write();
    this.#scheduler.notifyDrained();
    if (!this.#isBlocked && this.#hasSenders && inFlight.roomBytes > 0) this.schedule();
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

  /** Adds the data of streams, with marks in between, as far as the bound allows. */
  #fill(): void {
    const { control: batch, inFlight } = this;
    const scheduler = this.#scheduler;
    for (let left = FLUSH_BYTES; left > 0; ) {
      const before = batch.bytes;
      const room = inFlight.roomBytes;
      const slice = Math.min(left, inFlight.markEveryBytes);
      scheduler.fill(batch, Math.min(room, slice), Math.min(room + BYPASS_BYTES, slice));
      const filled = batch.bytes - before;
      if (filled > 0) inFlight.onSent(filled, performance.now());
      const isDue = this.#pingWanted || inFlight.wantsMark(performance.now());
      if (isDue || (this.#hasSenders && inFlight.isBlind)) this.#mark();
      if (filled === 0 || !this.#hasSenders) return;
      left -= filled;
    }
  }

  #mark(): void {
    const nowMs = performance.now();
    this.#pingWanted = false;
    this.inFlight.onSent(PING_FRAME_BYTES, nowMs);
    this.control.ping(this.inFlight.mark(nowMs, !this.#hasSenders));
  }
}
