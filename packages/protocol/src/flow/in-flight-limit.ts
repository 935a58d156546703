import { DATA_FRAME_BYTES } from '../wire/frame.ts';

/**
 * Bounds the bytes in flight to the peer (spec 5.4). So the queue in front of a slow link is in this process, where a
 * keystroke can overtake it, and not in the kernel, where it cannot.
 *
 * The method is BBR's: the bound follows the windowed maximum of the delivery rate times the windowed minimum of the
 * round trip time (RTT). PINGs are marks in the byte stream. The PONG of a mark confirms that all bytes before it
 * arrived. What keeps the bound right:
 *
 * - A rate that was measured while there was nothing to send is a lower bound. It can only raise the estimate.
 * - The bound exceeds rate x RTT, and marks are close to each other, so that a link with room shows a higher rate in the
 *   next round trip. If marks were far apart, bytes that arrived long ago would count as in flight. The measured rate
 *   would stay below the link's rate, and the bound would spiral down.
 * - Time for which a process was busy before it answered is not a queue in the network. The peer reports it in PONG,
 *   and the bound grows by what the link could carry meanwhile.
 * - A minimum RTT that has not been seen for 10 s may be outdated. Bulk then pauses until the bytes in flight fit the
 *   pipe, so that no queue is left, and one mark measures the RTT of the link alone.
 * - If the queue is far above the one that the bound allows, the link became slower or longer. The earlier rate is
 *   forgotten at once, and the RTT is probed.
 */

/** The lowest bound. Any link can carry this much small work at once. */
const MIN_BOUND_BYTES = 65_536;
/** Too little to form a queue on any link. */
const PROBE_BYTES = 4_096;
/** The longest queue, in bytes, beyond rate x RTT on a fast link. */
const MAX_QUEUE_BYTES = 1_048_576;
/** The longest queue, in time, that the bound aims for. */
const QUEUE_MS = 25;
const STARTUP_GAIN = 2;
const STEADY_GAIN = 1.25;
const RTT_WINDOW_MS = 10_000;
const MIN_RATE_WINDOW_MS = 1_000;
/** The shortest window for the rate while the queue is far too long. */
const MIN_LONG_QUEUE_RATE_WINDOW_MS = 100;
/** Busy time of an idle process, which is not compensated. */
const IDLE_BUSY_MS = 4;
const MAX_BUSY_MS = 500;
/** Above 1, like the gains, so that a rate that fell while the peer was busy can rise again. */
const BUSY_GAIN = 1.25;
const BUSY_DECAY_MS = 200;
const MARKS = 128;
/** Marks in a full pipe, at most and at least. */
const MAX_MARKS_PER_BOUND = 16;
const MIN_MARKS_PER_BOUND = 4;
/** Closer marks give no more information on a fast link, and each mark costs both ends a write and a read. */
const MARK_SPACING_MS = 1;
/** A side that sends little also measures the RTT, because its receive windows grow by it (spec 4.5). */
const MARK_INTERVAL_MS = 1_000;
/** Round trips without 25 % growth of the rate after which the pipe counts as full. */
const FULL_PIPE_ROUND_TRIPS = 3;
/** For this time and two round trips, a queue that is too long is taken for a short disturbance. */
const LONG_QUEUE_MS = 300;
/** If the RTT rises by this factor, the path has changed, and its rate is measured as at the start. */
const OTHER_PATH_RATIO = 1.25;

interface Mark {
  seq: number;
  /** All bytes sent up to and including the mark. */
  sentBytes: number;
  sentAtMs: number;
  /** The latest delivery when the mark was sent: all delivered bytes, its time, and when its own mark was sent. */
  deliveredBytes: number;
  deliveredAtMs: number;
  deliveredSentAtMs: number;
  hadLittleToSend: boolean;
  probesRtt: boolean;
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
  /** Marks from `#acked` + 1 to `#seq` are in flight. */
  #seq = 0;
  #acked = 0;
  #sentBytes = 0;
  #markedBytes = 0;
  #markedAtMs = 0;
  #deliveredBytes = 0;
  #deliveredAtMs = 0;
  #deliveredSentAtMs = 0;
  /** Highest rates of the current and the previous period: a windowed maximum without a list of samples. */
  #currentRate = 0;
  #previousRate = 0;
  #rateStartedAtMs = 0;
  #latestRate = 0;
  #minRttMs = Infinity;
  /** When the minimum was last seen. */
  #minRttAtMs = 0;
  #latestRttMs = 0;
  #busyMs = 0;
  #startup = true;
  #fullPipeRate = 0;
  #fullPipeRoundTrips = 0;
  #roundTripEndsAtBytes = 0;
  /** When the queue became too long; undefined while it is not. */
  #longQueueSinceMs: number | undefined;
  /** Bulk pauses until the queue is empty and a mark can leave. */
  #probing = false;
  #boundBytes = MIN_BOUND_BYTES;

  /** Bytes that may not have arrived yet. */
  get inFlightBytes(): number {
    return this.#sentBytes - this.#deliveredBytes;
  }

  get boundBytes(): number {
    return this.#boundBytes;
  }

  /** How many bytes may be sent now; negative if the bound is exceeded. */
  get roomBytes(): number {
    return this.#boundBytes - this.inFlightBytes;
  }

  /** The windowed minimum; Infinity before the first sample. */
  get minRttMs(): number {
    return this.#minRttMs;
  }

  /** The windowed maximum of the delivery rate. */
  get rateBytesPerMs(): number {
    return Math.max(this.#currentRate, this.#previousRate);
  }

  /** How many bytes may leave between two marks. */
  get markEveryBytes(): number {
    const spacing = Math.min(
      this.rateBytesPerMs * MARK_SPACING_MS,
      this.#boundBytes / MIN_MARKS_PER_BOUND,
    );
    const least = this.#boundBytes / MAX_MARKS_PER_BOUND;
    return Math.max(DATA_FRAME_BYTES, Math.floor(Math.max(spacing, least)));
  }

  onSent(bytes: number, nowMs: number): void {
    // After a pause no delivery is in progress, and its pace is measured from here.
    if (this.inFlightBytes === 0) this.#deliveredAtMs = this.#deliveredSentAtMs = nowMs;
    this.#sentBytes += bytes;
  }

  /** Whether enough was sent since the latest mark, or anything long after it. */
  wantsMark(nowMs: number): boolean {
    const unmarked = this.#sentBytes - this.#markedBytes;
    if (unmarked === 0 || this.#seq - this.#acked >= MARKS - 1) return false;
    return unmarked >= this.markEveryBytes || nowMs - this.#markedAtMs > MARK_INTERVAL_MS;
  }

  /** Whether bytes are in flight that no PONG will confirm. */
  get isBlind(): boolean {
    return this.#sentBytes > this.#markedBytes && this.#seq === this.#acked;
  }

  /** Whether a PING should leave before anything else, because the queue is empty now. */
  get wantsProbe(): boolean {
    return this.#probing && this.roomBytes > 0;
  }

  /**
   * Records a PING that leaves now. `onSent` has counted its bytes before.
   * @param hadLittleToSend whether nothing waits, so that the rate measured with this mark is a lower bound
   * @returns the number for the PING
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
      // Bytes that follow the mark cannot delay it, so the pause is over.
      this.#probing = false;
      this.#minRttAtMs = nowMs;
      this.#boundBytes = this.#bound();
    }
    return this.#seq >>> 0;
  }

  /**
   * Handles the PONG of a mark. A PONG of an unknown mark is ignored.
   * @param wireMark the number that `mark` returned
   * @param peerBusyMs how long the peer was busy before it answered
   * @param ownBusyMs how long this process was busy before it could read the answer
   */
  onPong(wireMark: number, nowMs: number, peerBusyMs: number, ownBusyMs: number): void {
    const mark = this.#marks[wireMark % MARKS]!;
    if (mark.seq >>> 0 !== wireMark || mark.seq <= this.#acked) return;
    this.#acked = mark.seq;
    const sinceMs = nowMs - this.#deliveredAtMs;
    this.#deliveredBytes = mark.sentBytes;
    this.#deliveredAtMs = nowMs;
    this.#deliveredSentAtMs = mark.sentAtMs;
    const busyMs = Math.min(MAX_BUSY_MS, Math.max(0, peerBusyMs + ownBusyMs - IDLE_BUSY_MS));
    // Rises at once and falls slowly, because busy periods come in groups.
    this.#busyMs = Math.max(busyMs, this.#busyMs * Math.exp(-sinceMs / BUSY_DECAY_MS));
    this.#latestRttMs = nowMs - mark.sentAtMs;
    this.#onRtt(mark, nowMs, busyMs);
    this.#onRate(mark, nowMs);
    this.#boundBytes = this.#bound();
  }

  #onRtt(mark: Mark, nowMs: number, busyMs: number): void {
    const rttMs = this.#latestRttMs;
    if (mark.probesRtt) {
      // Without the busy time: a peer that is never idle must not look like a long path.
      const probedMs = Math.max(rttMs - busyMs, Math.min(rttMs, this.#minRttMs));
      if (probedMs > this.#minRttMs * OTHER_PATH_RATIO) this.#restart();
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
    // Infinity while the rate is unknown.
    const boundMs = this.#boundBytes / this.rateBytesPerMs;
    const allowedMs = Math.max(QUEUE_MS / 2, boundMs - this.#minRttMs);
    return this.#latestRttMs > this.#minRttMs + 2 * allowedMs + this.#busyMs;
  }

  #restart(): void {
    this.#startup = true;
    this.#fullPipeRate = 0;
    this.#fullPipeRoundTrips = 0;
  }

  #onRate(mark: Mark, nowMs: number): void {
    // PONGs that waited together arrive together. The rate cannot be higher than the rate of sending.
    const elapsedMs = Math.max(nowMs - mark.deliveredAtMs, mark.sentAtMs - mark.deliveredSentAtMs);
    if (elapsedMs <= 0) return;
    const sample = (mark.sentBytes - mark.deliveredBytes) / elapsedMs;
    const windowMs =
      this.#longQueueSinceMs === undefined
        ? Math.max(MIN_RATE_WINDOW_MS, 10 * this.#minRttMs)
        : Math.max(MIN_LONG_QUEUE_RATE_WINDOW_MS, 2 * this.#minRttMs);
    if (!mark.hadLittleToSend && nowMs - this.#rateStartedAtMs > windowMs) {
      this.#previousRate = this.#currentRate;
      this.#currentRate = 0;
      this.#rateStartedAtMs = nowMs;
    }
    if (!mark.hadLittleToSend || sample > this.rateBytesPerMs) {
      this.#currentRate = Math.max(this.#currentRate, sample);
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
    if (mark.hadLittleToSend || mark.deliveredBytes < this.#roundTripEndsAtBytes) return;
    this.#roundTripEndsAtBytes = this.#sentBytes;
    if (this.rateBytesPerMs >= this.#fullPipeRate * 1.25) {
      this.#fullPipeRate = this.rateBytesPerMs;
      this.#fullPipeRoundTrips = 0;
    } else if (++this.#fullPipeRoundTrips >= FULL_PIPE_ROUND_TRIPS) {
      this.#startup = false;
    }
  }

  #bound(): number {
    const rate = this.rateBytesPerMs;
    const pipe = rate * this.#minRttMs;
    if (this.#probing) {
      // By the latest rate, not the best one: half of the current pipe holds no queue.
      return Math.max(PROBE_BYTES, Math.min(pipe, this.#latestRate * this.#minRttMs) / 2);
    }
    const gain = this.#startup ? STARTUP_GAIN : STEADY_GAIN;
    const queue = Math.min(MAX_QUEUE_BYTES, Math.max(MIN_BOUND_BYTES / 2, rate * QUEUE_MS));
    const busy = rate * this.#busyMs * BUSY_GAIN;
    return Math.ceil(Math.max(MIN_BOUND_BYTES, pipe * gain, pipe + queue) + busy);
  }
}
