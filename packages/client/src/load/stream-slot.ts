import { ClientError } from '../client-error.ts';
import type { ClientStream } from '../client-stream.ts';
import type { LoadOrder } from './load.ts';
import { StreamPace } from './stream-pace.ts';

const firstPauseMs = 50;
const longestPauseMs = 2000;
/** One stream of a load at a time: a stream that has ended is replaced by the next one. */
export class StreamSlot {
  readonly pace: StreamPace;
  stream: ClientStream | undefined;
  hasStarted = false;
  /** When the wait for an answer began; undefined while none is awaited. */
  waitingSinceMs: number | undefined;
  /** Why this slot destroyed its stream. */
  #reason: ClientError | undefined;
  #failuresInARow = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(order: LoadOrder, index: number) {
    this.pace = new StreamPace(order, index);
  }

  /** Calls `open` after the backoff for earlier failures, and not before `delayMs`. */
  openLater(open: () => void, delayMs = 0): void {
    const failures = this.#failuresInARow;
    const pauseMs = failures === 0 ? 0 : Math.min(firstPauseMs * 2 ** failures, longestPauseMs);
    if (Math.max(pauseMs, delayMs) === 0) open();
    else this.#timer = setTimeout(open, Math.max(pauseMs, delayMs));
  }

  onAnswer(): void {
    this.waitingSinceMs = undefined;
    this.#failuresInARow = 0;
  }

  /** The stream has ended. @returns the reason, if this slot destroyed it */
  onClosed(): ClientError | undefined {
    this.pace.cancel();
    this.stream = undefined;
    this.waitingSinceMs = undefined;
    this.#failuresInARow++;
    const reason = this.#reason;
    this.#reason = undefined;
    return reason;
  }

  /** Destroys the stream if its answer is more than `limitMs` late. */
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
