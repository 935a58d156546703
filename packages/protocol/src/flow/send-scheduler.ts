import type { FrameBatch, PayloadSource } from '../wire/encode.ts';
import { DATA_FRAME_BYTES } from '../wire/frame.ts';

/** A stream with this much or less to send counts as interactive (spec 5.2). */
const INTERACTIVE_BYTES = 4_096;
/** What a turn is worth (spec 5.3). */
const TURN_BYTES = DATA_FRAME_BYTES;

/** A stream as the turns see it. The first three fields belong to the turns. */
export interface Sender extends PayloadSource {
  next: Sender | undefined;
  list: unknown;
  deficit: number;
  readonly id: number;
  readonly pendingBytes: number;
  /** Pending bytes within the credit. */
  readonly sendableBytes: number;
  /** Whether only FIN is left to send. */
  readonly finIsDue: boolean;
  onFinSent(): void;
  drainIfLow(): void;
}

/** A queue of senders, linked through the senders themselves. */
class TurnList {
  head: Sender | undefined;
  #tail: Sender | undefined;

  push(sender: Sender): void {
    sender.list = this;
    sender.next = undefined;
    if (this.#tail) this.#tail.next = sender;
    else this.head = sender;
    this.#tail = sender;
  }

  shift(): void {
    const sender = this.head;
    if (!sender) return;
    this.head = sender.next;
    if (!this.head) this.#tail = undefined;
    sender.next = undefined;
    sender.list = undefined;
  }
}

/**
 * Who sends next (spec 5.2, 5.3). Streams that wake with little to send take a short lane, which
 * goes first; the others share a long lane by deficit round robin. While the long lane waits, the short
 * one gets at most every second turn's worth of bytes, so that no number of small writers starves bulk.
 */
export class SendTurns {
  readonly #short = new TurnList();
  readonly #long = new TurnList();
  readonly #written: Sender[] = [];
  /** Bytes that the short lane sent since the long one had a turn. */
  #shortRunBytes = 0;

  get hasInteractive(): boolean {
    return this.#short.head !== undefined;
  }

  get hasBulk(): boolean {
    return this.#long.head !== undefined;
  }

  /** Queues a sender that has something to send. */
  add(sender: Sender): void {
    if (sender.list !== undefined) return;
    sender.deficit = TURN_BYTES;
    (sender.pendingBytes <= INTERACTIVE_BYTES ? this.#short : this.#long).push(sender);
  }

  /**
   * Fills the batch in turn until `bulkBytes` more are in it, or `interactiveBytes` for the short lane;
   * while bulk waits the short lane leaves it its share, even if bulk may not be sent yet.
   * The last frame may exceed either by its own size.
   */
  fill(batch: FrameBatch, bulkBytes: number, interactiveBytes: number): void {
    const before = batch.bytes;
    for (;;) {
      const used = batch.bytes - before;
      const mayBulk = this.hasBulk && used < bulkBytes;
      if (!this.hasBulk) this.#shortRunBytes = 0;
      const mayShort = this.hasInteractive && used < interactiveBytes;
      if (mayShort && this.#shortRunBytes < TURN_BYTES) {
        this.#serveShort(batch);
        this.#shortRunBytes += batch.bytes - before - used;
        continue;
      }
      if (!mayBulk) return;
      this.#shortRunBytes = 0;
      this.#serveLong(batch);
    }
  }

  /** Tells writers whose queue became short; they may write again at once. */
  notifyDrained(): void {
    for (let sender = this.#written.pop(); sender; sender = this.#written.pop()) {
      sender.drainIfLow();
    }
  }

  #serveShort(batch: FrameBatch): void {
    const sender = this.#short.head!;
    this.#short.shift();
    // All that it woke with, in however many chunks; what came since may be more than a turn.
    while (sender.deficit > 0 && sender.sendableBytes > 0) this.#send(sender, batch);
    if (sender.finIsDue) this.#send(sender, batch);
    if (sender.sendableBytes > 0) this.#long.push(sender);
  }

  #serveLong(batch: FrameBatch): void {
    const sender = this.#long.head!;
    while (sender.deficit > 0 && sender.sendableBytes > 0) this.#send(sender, batch);
    if (sender.finIsDue) this.#send(sender, batch);
    this.#long.shift();
    if (sender.sendableBytes === 0) return;
    sender.deficit += TURN_BYTES;
    this.#long.push(sender);
  }

  #send(sender: Sender, batch: FrameBatch): void {
    if (sender.sendableBytes > 0) {
      const bytes = Math.min(sender.sendableBytes, DATA_FRAME_BYTES);
      sender.deficit -= bytes;
      batch.data(sender.id, sender, bytes);
      this.#written.push(sender);
    }
    if (sender.finIsDue) {
      batch.fin(sender.id);
      sender.onFinSent();
    }
  }
}
