import type { FrameBatch } from '../wire/encode.ts';
import { DATA_FRAME_BYTES } from '../wire/frame.ts';

/** A stream that becomes ready with this much or less to send counts as interactive (spec 5.2). */
const INTERACTIVE_BYTES = 4_096;
/** What a stream may send in one round (spec 5.3). */
const QUANTUM_BYTES = DATA_FRAME_BYTES;

/** A stream as the scheduler sees it. Only the scheduler uses the first three fields. */
export interface Sender {
  next: Sender | undefined;
  queue: unknown;
  deficit: number;
  readonly id: number;
  readonly pendingBytes: number;
  /** Pending bytes within the credit. */
  readonly sendableBytes: number;
  /** Whether only FIN is left to send. */
  readonly finIsDue: boolean;
  /** Copies the next bytes to the buffer at `at`. The caller asks for `sendableBytes` at most. */
  takeInto(buffer: Buffer, at: number, bytes: number): void;
  onFinSent(): void;
  drainIfLow(): void;
}

/** A queue that links its senders through their `next`. */
class SenderQueue {
  head: Sender | undefined;
  #tail: Sender | undefined;

  push(sender: Sender): void {
    sender.queue = this;
    sender.next = undefined;
    if (this.#tail) this.#tail.next = sender;
    else this.head = sender;
    this.#tail = sender;
  }

  /** Removes the head of a queue that is not empty. */
  shift(): Sender {
    const sender = this.head!;
    this.head = sender.next;
    if (!this.head) this.#tail = undefined;
    sender.next = undefined;
    sender.queue = undefined;
    return sender;
  }
}

/**
 * Chooses the stream that sends next (spec 5.2, 5.3). A stream that becomes ready with little to send joins the
 * interactive queue, which goes first. The others share the bulk queue by deficit round robin. While bulk waits,
 * interactive streams get at most every second quantum, so that no number of small writers starves bulk.
 */
export class SendScheduler {
  readonly #interactive = new SenderQueue();
  readonly #bulk = new SenderQueue();
  /** Have sent since the latest `notifyDrained`. */
  readonly #sent: Sender[] = [];
  /** Bytes that interactive streams have sent since the latest bulk quantum. */
  #interactiveRunBytes = 0;

  get hasInteractive(): boolean {
    return this.#interactive.head !== undefined;
  }

  get hasBulk(): boolean {
    return this.#bulk.head !== undefined;
  }

  /** Queues a sender that has something to send. */
  add(sender: Sender): void {
    if (sender.queue !== undefined) return;
    sender.deficit = QUANTUM_BYTES;
    (sender.pendingBytes <= INTERACTIVE_BYTES ? this.#interactive : this.#bulk).push(sender);
  }

  /**
   * Fills the batch until it has `bulkBytes` more. Interactive streams may go on to `interactiveBytes`, but while
   * bulk waits they leave it its share, even if bulk may not be sent yet.
   * The last frame may exceed either limit by its own size.
   */
  fill(batch: FrameBatch, bulkBytes: number, interactiveBytes: number): void {
    const before = batch.bytes;
    for (;;) {
      const used = batch.bytes - before;
      const maySendBulk = this.hasBulk && used < bulkBytes;
      if (!this.hasBulk) this.#interactiveRunBytes = 0;
      const maySendInteractive = this.hasInteractive && used < interactiveBytes;
      if (maySendInteractive && this.#interactiveRunBytes < QUANTUM_BYTES) {
        this.#serveInteractive(batch);
        this.#interactiveRunBytes += batch.bytes - before - used;
        continue;
      }
      if (!maySendBulk) return;
      this.#interactiveRunBytes = 0;
      this.#serveBulk(batch);
    }
  }

  /** Notifies writers that have little left to send. They may write again at once. */
  notifyDrained(): void {
    for (let sender = this.#sent.pop(); sender; sender = this.#sent.pop()) {
      sender.drainIfLow();
    }
  }

  #serveInteractive(batch: FrameBatch): void {
    const sender = this.#interactive.shift();
    // It may have written more than a quantum since it was queued.
    while (sender.deficit > 0 && sender.sendableBytes > 0) this.#send(sender, batch);
    if (sender.finIsDue) this.#send(sender, batch);
    if (sender.sendableBytes > 0) this.#bulk.push(sender);
  }

  #serveBulk(batch: FrameBatch): void {
    const sender = this.#bulk.head!;
    while (sender.deficit > 0 && sender.sendableBytes > 0) this.#send(sender, batch);
    this.#bulk.shift();
    if (sender.sendableBytes === 0) return;
    sender.deficit += QUANTUM_BYTES;
    this.#bulk.push(sender);
  }

  #send(sender: Sender, batch: FrameBatch): void {
    if (sender.sendableBytes > 0) {
      const bytes = Math.min(sender.sendableBytes, DATA_FRAME_BYTES);
      sender.deficit -= bytes;
      batch.data(sender.id, sender, bytes);
      this.#sent.push(sender);
    }
    if (sender.finIsDue) {
      batch.fin(sender.id);
      sender.onFinSent();
    }
  }
}
