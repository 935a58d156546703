import { DATA_FRAME_BYTES } from '../wire/frame.ts';

/**
 * Bounds the bytes on their way to the peer (spec 5.4), so that the queue in front of a slow link
 * stays with us, where a keystroke can overtake it, and not in the kernel, where it cannot.
 *
 * The method is that of BBR: the bound follows the windowed maximum of the delivery rate times the
 * windowed minimum of the round trip time. PINGs are marks in the byte stream; the PONG of a mark says
 * that all before it arrived. What keeps the bound honest:
 *
 * - Rates measured while we had nothing to send are lower bounds and only ever raise the estimate.
 * - The bound exceeds rate x RTT, and marks are close to each other, so that a link with room shows a
 *   higher rate at the next round. Marks far apart would hide bytes that have long arrived, the
 *   measured rate would stay below the link's, and the bound would spiral down.
 * - Time that a process spent busy before it answered is not a queue in the network; the peer
 *   reports it in PONG, and the bound grows by what the link could carry meanwhile.
 * - A minimum RTT that has not been seen for 10 s may be out of date: bulk pauses until what is
 *   on its way fits the pipe, so that no queue is left, and one mark shows the link's own time.
 * - A queue far above the one that the bound allows means that the link became slower or longer. The
 *   rate of before is forgotten at once, and the RTT is probed.
 */

/** The bound is never lower: it lets any link carry small work at once. */
const LEAST_BOUND_BYTES = 65_536;
/** So little makes no queue anywhere. */
const PROBE_BYTES = 4_096;
/** Most that is queued on top of rate x RTT on a fast link. */
const MOST_QUEUE_BYTES = 1_048_576;
/** How much queue, in time, the bound aims for at most. */
const QUEUE_MS = 25;
const STARTUP_GAIN = 2;
const STEADY_GAIN = 1.25;
const RTT_WINDOW_MS = 10_000;
const LEAST_RATE_WINDOW_MS = 1_000;
/** The same while the queue is far too long. */
const HURRIED_RATE_WINDOW_MS = 100;
/** A process that is busy for less is not worth compensating. */
const IDLE_TURN_MS = 4;
const MOST_TURN_MS = 500;
/** Above 1 for the same reason as the gains: a rate that fell while the peer was busy can rise again. */
const BUSY_GAIN = 1.25;
const BUSY_DECAY_MS = 200;
const MARKS = 128;
/** Marks in a full pipe, at most and at least. */
const MOST_MARKS_PER_BOUND = 16;
const LEAST_MARKS_PER_BOUND = 4;
/** Closer marks than this tell a fast link nothing, and each costs both ends a write and a read. */
const MARK_SPACING_MS = 1;
/** A side that sends little knows the RTT too: its windows grow by it (spec 4.5). */
const MARK_INTERVAL_MS = 1_000;
/** Rounds without 25 % growth of the rate after which the pipe counts as full. */
const FULL_PIPE_ROUNDS = 3;
/** How long the queue must be too long before that is more than a hiccup, besides two round trips. */
const LONG_QUEUE_MS = 300;
/** An RTT that rose by this much is another path, whose rate is found as at the start. */
const OTHER_PATH = 1.25;

interface Mark {
  seq: number;
  /** All bytes sent up to and including the mark. */
  sentBytes: number;
  sentAtMs: number;
  /** Delivered bytes, and when they were, at the time of sending. */
  deliveredBytes: number;
  deliveredAtMs: number;
  /** When the mark left whose delivery that was. */
  deliveredSentAtMs: number;
  hadLittleToSend: boolean;
  probesRtt: boolean;
}

/** The larger of two periods: a windowed maximum without a list of samples. */
interface WindowedMaximum {
  current: number;
  previous: number;
  startedAtMs: number;
}

export class InFlightLimit {
  readonly #marks: Mark[] = Array.from({ length: MARKS }, () => ({
    seq: 0,
    sentBytes: 0,
    sentAtMs: 0,
    deliveredBytes: 0,
    deliveredAtMs: 0,
    deliveredSentAtMs: 0,
    hadLittleToSend: true,
    probesRtt: false,
  }));
  /** Marks from `#acked` + 1 to `#seq` are on their way. */
  #seq = 0;
  #acked = 0;
  #sentBytes = 0;
  #markedBytes = 0;
  #markedAtMs = 0;
  #deliveredBytes = 0;
  #deliveredAtMs = 0;
  #deliveredSentAtMs = 0;
  #rate: WindowedMaximum = { current: 0, previous: 0, startedAtMs: 0 };
  #latestRate = 0;
  #minRttMs = Infinity;
  /** When the minimum was last seen. */
  #minRttAtMs = 0;
  #latestRttMs = 0;
  #busyMs = 0;
  #startup = true;
  #fullPipeRate = 0;
  #fullPipeRounds = 0;
  #roundEndsAtBytes = 0;
  /** Since when the queue has been too long; undefined while it is not. */
  #longQueueSinceMs: number | undefined;
  /** Bulk pauses until a mark can leave behind an empty queue. */
  #probing = false;
  #boundBytes = LEAST_BOUND_BYTES;

  /** Bytes that may not have arrived yet. */
  get inFlightBytes(): number {
    return this.#sentBytes - this.#deliveredBytes;
  }

  get boundBytes(): number {
    return this.#boundBytes;
  }

  /** How many bytes may be sent now; negative when the bound is exceeded. */
  get roomBytes(): number {
    return this.#boundBytes - this.inFlightBytes;
  }

  /** The windowed minimum; Infinity before the first sample. */
  get minRttMs(): number {
    return this.#minRttMs;
  }

  get latestRttMs(): number {
    return this.#latestRttMs;
  }

  /** The windowed maximum of the delivery rate. */
  get rateBytesPerMs(): number {
    return Math.max(this.#rate.current, this.#rate.previous);
  }

  /** How many bytes may leave between two marks. */
  get markEveryBytes(): number {
    const spacing = Math.min(
      this.rateBytesPerMs * MARK_SPACING_MS,
      this.#boundBytes / LEAST_MARKS_PER_BOUND,
    );
    const least = this.#boundBytes / MOST_MARKS_PER_BOUND;
    return Math.max(DATA_FRAME_BYTES, Math.floor(Math.max(spacing, least)));
  }

  onSent(bytes: number, nowMs: number): void {
    // After a pause there is no delivery in progress: its pace is measured from here.
    if (this.inFlightBytes === 0) this.#deliveredAtMs = this.#deliveredSentAtMs = nowMs;
    this.#sentBytes += bytes;
  }

  /** Whether enough was sent since the last mark, or anything long after it. */
  wantsMark(nowMs: number): boolean {
    const unmarked = this.#sentBytes - this.#markedBytes;
    if (unmarked === 0 || this.#seq - this.#acked >= MARKS - 1) return false;
    return unmarked >= this.markEveryBytes || nowMs - this.#markedAtMs > MARK_INTERVAL_MS;
  }

  /** Whether bytes are on their way and no PONG will tell of them. */
  get isBlind(): boolean {
    return this.#sentBytes > this.#markedBytes && this.#seq === this.#acked;
  }

  /** Whether the next PING should leave before anything else, because the queue is empty now. */
  get wantsProbe(): boolean {
    return this.#probing && this.roomBytes > 0;
  }

  /**
   * Notes a PING that leaves now, its own bytes counted by `onSent` before.
   * @param hadLittleToSend that nothing waits: the rate measured with this mark is a lower bound
   * @returns the number to put into the PING
   */
  mark(nowMs: number, hadLittleToSend: boolean): number {
    this.#seq++;
    const mark = this.#marks[this.#seq % MARKS]!;
    mark.seq = this.#seq;
    mark.sentBytes = this.#sentBytes;
    mark.sentAtMs = nowMs;
    mark.deliveredBytes = this.#deliveredBytes;
    mark.deliveredAtMs = this.#deliveredAtMs;
    mark.deliveredSentAtMs = this.#deliveredSentAtMs;
    mark.hadLittleToSend = hadLittleToSend;
    mark.probesRtt = this.wantsProbe;
    this.#markedBytes = this.#sentBytes;
    this.#markedAtMs = nowMs;
    if (mark.probesRtt) {
      // What follows a mark cannot delay it: the pause is over.
      this.#probing = false;
      this.#minRttAtMs = nowMs;
      this.#boundBytes = this.#bound();
    }
    return this.#seq >>> 0;
  }

  /**
   * Takes the PONG of a mark; one for an unknown mark is ignored.
   * @param wireMark the number from `mark`
   * @param peerTurnMs for how long the peer was busy before it answered
   * @param ownTurnMs for how long this process was busy before it could read the answer
   */
  onPong(wireMark: number, nowMs: number, peerTurnMs: number, ownTurnMs: number): void {
    const mark = this.#marks[wireMark % MARKS]!;
    if (mark.seq >>> 0 !== wireMark || mark.seq <= this.#acked) return;
    this.#acked = mark.seq;
    const sinceMs = nowMs - this.#deliveredAtMs;
    this.#deliveredBytes = mark.sentBytes;
    this.#deliveredAtMs = nowMs;
    this.#deliveredSentAtMs = mark.sentAtMs;
    const busyMs = Math.min(MOST_TURN_MS, Math.max(0, peerTurnMs + ownTurnMs - IDLE_TURN_MS));
    // Rises at once, falls slowly: a busy spell is seldom alone.
    this.#busyMs = Math.max(busyMs, this.#busyMs * Math.exp(-sinceMs / BUSY_DECAY_MS));
    this.#latestRttMs = nowMs - mark.sentAtMs;
    this.#onRtt(mark, nowMs, busyMs);
    this.#onRate(mark, nowMs);
    this.#boundBytes = this.#bound();
  }

  #onRtt(mark: Mark, nowMs: number, busyMs: number): void {
    const rttMs = this.#latestRttMs;
    if (mark.probesRtt) {
      // Less the busy time: a peer that is never idle must not look like a long way.
      const probedMs = Math.max(rttMs - busyMs, Math.min(rttMs, this.#minRttMs));
      if (probedMs > this.#minRttMs * OTHER_PATH) this.#restart();
      this.#minRttMs = probedMs;
      this.#minRttAtMs = nowMs;
      this.#longQueueSinceMs = undefined;
      return;
    }
    if (rttMs <= this.#minRttMs * 1.1) this.#minRttAtMs = nowMs;
    this.#minRttMs = Math.min(this.#minRttMs, rttMs);
    if (!this.#isQueueLong()) this.#longQueueSinceMs = undefined;
    else this.#longQueueSinceMs ??= nowMs;
    const isOld = nowMs - this.#minRttAtMs > RTT_WINDOW_MS;
    const longSinceMs = this.#longQueueSinceMs ?? nowMs;
    if (isOld || nowMs - longSinceMs > LONG_QUEUE_MS + 2 * this.#minRttMs) this.#probing = true;
  }

  /** Whether the latest RTT shows more than twice the queue that the bound allows. */
  #isQueueLong(): boolean {
    const rate = this.rateBytesPerMs;
    if (rate === 0) return false;
    const allowedMs = Math.max(QUEUE_MS / 2, this.#boundBytes / rate - this.#minRttMs);
    return this.#latestRttMs > this.#minRttMs + 2 * allowedMs + this.#busyMs;
  }

  #restart(): void {
    this.#startup = true;
    this.#fullPipeRate = 0;
    this.#fullPipeRounds = 0;
  }

  #onRate(mark: Mark, nowMs: number): void {
    // PONGs that waited together come together: no rate is higher than the one of sending.
    const elapsedMs = Math.max(nowMs - mark.deliveredAtMs, mark.sentAtMs - mark.deliveredSentAtMs);
    if (elapsedMs <= 0) return;
    const sample = (mark.sentBytes - mark.deliveredBytes) / elapsedMs;
    const rate = this.#rate;
    const windowMs =
      this.#longQueueSinceMs === undefined
        ? Math.max(LEAST_RATE_WINDOW_MS, 10 * this.#minRttMs)
        : Math.max(HURRIED_RATE_WINDOW_MS, 2 * this.#minRttMs);
    if (!mark.hadLittleToSend && nowMs - rate.startedAtMs > windowMs) {
      rate.previous = rate.current;
      rate.current = 0;
      rate.startedAtMs = nowMs;
    }
    if (!mark.hadLittleToSend || sample > this.rateBytesPerMs) {
      rate.current = Math.max(rate.current, sample);
      this.#latestRate = sample;
    }
    if (this.#startup) this.#endStartupWhenFull(mark);
  }

  #endStartupWhenFull(mark: Mark): void {
    const queueMs = this.#latestRttMs - this.#minRttMs - this.#busyMs;
    if (queueMs > Math.max(QUEUE_MS, this.#minRttMs / 4)) {
      this.#startup = false;
      return;
    }
    if (mark.hadLittleToSend || mark.deliveredBytes < this.#roundEndsAtBytes) return;
    this.#roundEndsAtBytes = this.#sentBytes;
    if (this.rateBytesPerMs >= this.#fullPipeRate * 1.25) {
      this.#fullPipeRate = this.rateBytesPerMs;
      this.#fullPipeRounds = 0;
    } else if (++this.#fullPipeRounds >= FULL_PIPE_ROUNDS) {
      this.#startup = false;
    }
  }

  #bound(): number {
    const rate = this.rateBytesPerMs;
    const pipe = rate * this.#minRttMs;
    if (this.#probing) {
      // The latest rate, not the best: half the pipe as it is now holds no queue.
      return Math.max(PROBE_BYTES, Math.min(pipe, this.#latestRate * this.#minRttMs) / 2);
    }
    const gain = this.#startup ? STARTUP_GAIN : STEADY_GAIN;
    const queue = Math.min(MOST_QUEUE_BYTES, Math.max(LEAST_BOUND_BYTES / 2, rate * QUEUE_MS));
    const busy = rate * this.#busyMs * BUSY_GAIN;
    return Math.ceil(Math.max(LEAST_BOUND_BYTES, pipe * gain, pipe + queue) + busy);
  }
}
