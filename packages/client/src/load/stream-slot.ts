import { ClientError } from '../client-error.ts';
import type { ClientStream } from '../client-stream.ts';
import { StreamPace } from './stream-pace.ts';
import type { SlotOrder } from './stream-slots.ts';

const firstPauseMs = 50;
const longestPauseMs = 2000;

/** The place of one stream in a load, and of those that come after it. */
export class StreamSlot {
  readonly pace: StreamPace;
  stream: ClientStream | undefined;
  hasStarted = false;
  /** Since when an answer is awaited; undefined while none is. */
  waitingSinceMs: number | undefined;
  /** Why the slot itself destroyed its stream. */
  #reason: ClientError | undefined;
  #failuresInARow = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(order: SlotOrder, index: number) {
    this.pace = new StreamPace(order, index);
  }

  /** Calls `open` after the pause that earlier failures ask for, or at least `delayMs`. */
  openLater(open: () => void, delayMs = 0): void {
    const failures = this.#failuresInARow;
    const pauseMs = failures === 0 ? 0 : Math.min(firstPauseMs * 2 ** failures, longestPauseMs);
    if (Math.max(pauseMs, delayMs) === 0) open();
    else this.#timer = setTimeout(open, Math.max(pauseMs, delayMs));
  }

  /** An answer came. */
  onAnswer(): void {
    this.waitingSinceMs = undefined;
    this.#failuresInARow = 0;
  }

  /** The stream is closed. @returns why, if the slot did it */
  onClosed(): ClientError | undefined {
    this.pace.cancel();
    this.stream = undefined;
    this.waitingSinceMs = undefined;
    this.#failuresInARow++;
    const reason = this.#reason;
    this.#reason = undefined;
    return reason;
  }

  /** Gives a stream up that has not answered since before `limitMs` ago. */
  checkWaiting(nowMs: number, limitMs: number): void {
    if (this.waitingSinceMs === undefined || nowMs - this.waitingSinceMs < limitMs) return;
    this.waitingSinceMs = undefined;
    this.#reason = new ClientError('timeout', `no answer within ${limitMs} ms`);
    this.stream?.destroy();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.pace.cancel();
    this.stream?.destroy();
  }
}
