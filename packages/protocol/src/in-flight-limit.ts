/**
 * Bounds the bytes on their way to the peer (spec 5.4), so that the queue in front of a slow link
 * stays with us, where a keystroke can overtake it, and not in the kernel, where it cannot.
 *
 * The method is that of BBR: the bound follows the windowed maximum of the delivery rate times the
 * windowed minimum of the round trip time. PINGs are marks in the byte stream; the PONG of a mark says
 * that all before it arrived. Four things keep the bound honest:
 *
 * - Rates measured while we had nothing to send are lower bounds and only ever raise the estimate.
 * - The bound exceeds rate x RTT, so that a link with room shows a higher rate at the next round.
 * - Time that a process spent busy before it answered is not a queue in the network; the peer
 *   reports it in PONG, and the bound grows by what the link could carry meanwhile.
 * - A minimum RTT that has not been seen for 10 s may be our own queue: for one round the bound drops
 *   so far that the queue empties and the minimum shows again.
 */

/** The bound is never lower: it lets any link carry small work at once. */
export const LEAST_BOUND_BYTES = 65_536;
/** Most that is queued on top of rate x RTT on a fast link. */
const MOST_QUEUE_BYTES = 1_048_576;
/** How much queue, in time, the bound aims for at most. */
const QUEUE_MS = 25;
const STARTUP_GAIN = 2;
const STEADY_GAIN = 1.25;
const RTT_WINDOW_MS = 10_000;
const LEAST_RATE_WINDOW_MS = 1_000;
/** A process that is busy for less is not worth compensating. */
const IDLE_TURN_MS = 4;
const MOST_TURN_MS = 500;
const MARKS = 128;
/** Rounds without 25 % growth of the rate after which the pipe counts as full. */
const FULL_PIPE_ROUNDS = 3;

interface Mark {
  seq: number;
  /** All bytes sent up to and including the mark. */
  sentBytes: number;
  sentAtMs: number;
  /** Delivered bytes, and when they were, at the time of sending. */
  deliveredBytes: number;
  deliveredAtMs: number;
  hadLittleToSend: boolean;
  probesRtt: boolean;
}

/** The larger (or smaller) of two periods: a windowed extreme without a list of samples. */
interface WindowedExtreme {
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
    hadLittleToSend: true,
    probesRtt: false,
  }));
  /** Marks from `#acked` + 1 to `#seq` are on their way. */
  #seq = 0;
  #acked = 0;
  #sentBytes = 0;
  #markedBytes = 0;
  #deliveredBytes = 0;
  #deliveredAtMs = 0;
  #rate: WindowedExtreme = { current: 0, previous: 0, startedAtMs: 0 };
  #rtt: WindowedExtreme = { current: Infinity, previous: Infinity, startedAtMs: 0 };
  #latestRttMs = 0;
  #busyMs = 0;
  #startup = true;
  #fullPipeRate = 0;
  #fullPipeRounds = 0;
  #roundEndsAtBytes = 0;
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

  /** Windowed minimum; Infinity before the first sample. */
  get minRttMs(): number {
    return Math.min(this.#rtt.current, this.#rtt.previous);
  }

  get latestRttMs(): number {
    return this.#latestRttMs;
  }

  /** Windowed maximum of the delivery rate. */
  get rateBytesPerMs(): number {
    return Math.max(this.#rate.current, this.#rate.previous);
  }

  onSent(bytes: number): void {
    this.#sentBytes += bytes;
  }

  /** Whether a mark is due: a quarter of the bound was sent since the last one. */
  get wantsMark(): boolean {
    const unmarked = this.#sentBytes - this.#markedBytes;
    return unmarked > 0 && unmarked >= this.#boundBytes >> 2 && this.#seq - this.#acked < MARKS - 1;
  }

  /** Whether bytes are on their way and no PONG will tell of them. */
  get isBlind(): boolean {
    return this.#sentBytes > this.#markedBytes && this.#seq === this.#acked;
  }

  /**
   * Notes a PING that leaves now, its own bytes counted by `onSent` before.
   * @param hadLittleToSend that nothing waits: the rate measured with this mark is a lower bound
   * @returns the number to put into the PING
   */
  mark(nowMs: number, hadLittleToSend: boolean): number {
    this.#seq++;
    const mark = this.#marks[this.#seq % MARKS]!;
    // After a pause there is no delivery in progress whose pace could be measured.
    if (this.#deliveredAtMs === 0 || this.#acked === this.#seq - 1) this.#deliveredAtMs = nowMs;
    mark.seq = this.#seq;
    mark.sentBytes = this.#sentBytes;
    mark.sentAtMs = nowMs;
    mark.deliveredBytes = this.#deliveredBytes;
    mark.deliveredAtMs = this.#deliveredAtMs;
    mark.hadLittleToSend = hadLittleToSend;
    mark.probesRtt = this.#probing;
    this.#markedBytes = this.#sentBytes;
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
    this.#deliveredBytes = mark.sentBytes;
    this.#deliveredAtMs = nowMs;
    const busyMs = Math.min(MOST_TURN_MS, Math.max(0, peerTurnMs + ownTurnMs - IDLE_TURN_MS));
    // Rises at once, falls slowly: a busy spell is seldom alone.
    this.#busyMs = Math.max(busyMs, this.#busyMs * 0.9);
    this.#latestRttMs = nowMs - mark.sentAtMs;
    this.#onRtt(this.#latestRttMs, nowMs, mark.probesRtt);
    this.#onRate(mark, nowMs);
    this.#boundBytes = this.#bound();
  }

  #onRtt(rttMs: number, nowMs: number, probed: boolean): void {
    const rtt = this.#rtt;
    if (probed) {
      // The queue was empty: what this round shows is the link's own time, up or down.
      this.#probing = false;
      rtt.previous = rtt.current = rttMs;
      rtt.startedAtMs = nowMs;
      return;
    }
    if (rttMs <= rtt.previous * 1.1) rtt.startedAtMs = nowMs;
    rtt.current = Math.min(rtt.current, rttMs);
    if (rtt.previous === Infinity) {
      rtt.previous = rtt.current;
      rtt.startedAtMs = nowMs;
    } else if (nowMs - rtt.startedAtMs > RTT_WINDOW_MS) {
      this.#probing = true;
    }
  }

  #onRate(mark: Mark, nowMs: number): void {
    const elapsedMs = nowMs - mark.deliveredAtMs;
    if (elapsedMs <= 0) return;
    const sample = (mark.sentBytes - mark.deliveredBytes) / elapsedMs;
    const rate = this.#rate;
    const windowMs = Math.max(LEAST_RATE_WINDOW_MS, 10 * this.#latestRttMs);
    if (!mark.hadLittleToSend && nowMs - rate.startedAtMs > windowMs) {
      rate.previous = rate.current;
      rate.current = 0;
      rate.startedAtMs = nowMs;
    }
    if (sample > rate.current && (!mark.hadLittleToSend || sample > this.rateBytesPerMs)) {
      rate.current = sample;
    }
    if (this.#startup) this.#endStartupWhenFull(mark);
  }

  #endStartupWhenFull(mark: Mark): void {
    if (this.#latestRttMs > this.minRttMs + Math.max(QUEUE_MS, this.minRttMs / 4) + this.#busyMs) {
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
    const pipe = rate * this.minRttMs;
    if (this.#probing) return Math.max(LEAST_BOUND_BYTES / 4, pipe / 2);
    const gain = this.#startup ? STARTUP_GAIN : STEADY_GAIN;
    const queue = Math.min(MOST_QUEUE_BYTES, Math.max(LEAST_BOUND_BYTES / 2, rate * QUEUE_MS));
    return Math.ceil(Math.max(LEAST_BOUND_BYTES, pipe * gain, pipe + queue) + rate * this.#busyMs);
  }
}
