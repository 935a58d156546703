import { once } from 'node:events';
import type { Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { eventually } from '@fairlead/testkit';

const messageBytes = 64;
const stuckAfterMs = 60_000;

/** Echoes small messages on a stream, one after the other, and measures the latencies. */
export class EchoWatch {
  readonly #socket: Socket;
  readonly #beside: EchoWatch | undefined;
  /** The most messages that the other watch exchanged while one message was on its way. */
  #mostBesides = 0;
  #latenciesMs: number[] = [];
  #isOver = false;
  /** Why the stream failed, if it did. */
  failure: string | undefined;
  /** Messages that have returned so far. */
  roundTrips = 0;
  readonly #done: Promise<void>;

  /**
   * @param socket a stream to an echo target, without unread bytes
   * @param beside another watch: a clock that runs slower on a busy machine
   */
  constructor(socket: Socket, beside?: EchoWatch) {
    this.#socket = socket;
    this.#beside = beside;
    socket.on('error', (error) => {
      this.failure = error.message;
    });
    this.#done = this.#run();
  }

  /** Returns the latencies since the last call. */
  take(): {
    readonly p50Ms: number;
    readonly p99Ms: number;
    readonly maxMs: number;
    /** The most messages of the other watch during one message. */
    readonly mostBesides: number;
    count: number;
  } {
    const sorted = this.#latenciesMs.sort((a, b) => a - b);
    this.#latenciesMs = [];
    const at = (share: number) => sorted[Math.floor((sorted.length - 1) * share)] ?? Infinity;
    const mostBesides = this.#mostBesides;
    this.#mostBesides = 0;
    return { p50Ms: at(0.5), p99Ms: at(0.99), maxMs: at(1), mostBesides, count: sorted.length };
  }

  /** Waits until `roundTrips` more messages have returned, at any pace. */
  async progress(roundTrips: number): Promise<void> {
    const goal = this.roundTrips + roundTrips;
    await eventually(`${roundTrips} more messages return on the healthy stream`, () => {
      return this.failure !== undefined || this.roundTrips >= goal;
    });
    if (this.failure !== undefined) throw new Error(`the healthy stream failed: ${this.failure}`);
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    // Waits for the echo of the last message. A stuck stream is an error.
    const stuck = new AbortController();
    const hasReturned = await Promise.race([
      this.#done.then(() => true),
      pause(stuckAfterMs, false, { signal: stuck.signal }).catch(() => true),
    ]);
    stuck.abort();
    this.#socket.destroy();
    if (!hasReturned) throw new Error(`no echo within ${stuckAfterMs} ms on the healthy stream`);
  }

  async #run(): Promise<void> {
    const socket = this.#socket;
    const closed = once(socket, 'close').then(() => {
      if (!this.#isOver) this.failure ??= 'the stream closed';
    });
    const message = Buffer.alloc(messageBytes, 'm');
    while (!this.#isOver && this.failure === undefined) {
      const startedAtMs = performance.now();
      const besideBefore = this.#beside?.roundTrips ?? 0;
      socket.write(message);
      for (let missing = messageBytes; missing > 0 && this.failure === undefined; ) {
        const chunk = socket.read() as Buffer | null;
        if (chunk) missing -= chunk.length;
        else
          await Promise.race([new Promise((resolve) => socket.once('readable', resolve)), closed]);
      }
      if (this.failure !== undefined) return;
      this.roundTrips += 1;
      this.#latenciesMs.push(performance.now() - startedAtMs);
      const besides = (this.#beside?.roundTrips ?? 0) - besideBefore;
      this.#mostBesides = Math.max(this.#mostBesides, besides);
      // As slow as a person or a probe, to leave the machine to the flood.
      await pause(2);
    }
  }
}
