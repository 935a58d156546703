import { once } from 'node:events';
import type { Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { eventually } from '@fairlead/testkit';

const messageBytes = 64;
const stuckAfterMs = 60_000;

/** A stream in use all the time: a small message there and back, then the next. */
export class EchoWatch {
  readonly #socket: Socket;
  #latenciesMs: number[] = [];
  #isOver = false;
  /** Why it stopped, if not by `stop`. */
  failure: string | undefined;
  #trips = 0;
  readonly #done: Promise<void>;

  /** @param socket of a stream to an echo; nothing was read that is not in it */
  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('error', (error) => {
      this.failure = error.message;
    });
    this.#done = this.#run();
  }

  /** What was measured since it was asked last. */
  take(): {
    readonly p50Ms: number;
    readonly p99Ms: number;
    readonly maxMs: number;
    count: number;
  } {
    const sorted = this.#latenciesMs.sort((a, b) => a - b);
    this.#latenciesMs = [];
    const at = (share: number) => sorted[Math.floor((sorted.length - 1) * share)] ?? Infinity;
    return { p50Ms: at(0.5), p99Ms: at(0.99), maxMs: at(1), count: sorted.length };
  }

  /** Waits until so many more messages came back: the stream makes progress, at whatever pace. */
  async progress(trips: number): Promise<void> {
    const wanted = this.#trips + trips;
    await eventually(`${trips} more messages came back on the healthy stream`, () => {
      return this.failure !== undefined || this.#trips >= wanted;
    });
    if (this.failure !== undefined) throw new Error(`the healthy stream failed: ${this.failure}`);
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    // A message that is on its way comes back, or the stream is stuck and ends here.
    const stuck = new AbortController();
    const isBack = await Promise.race([
      this.#done.then(() => true),
      pause(stuckAfterMs, false, { signal: stuck.signal }).catch(() => true),
    ]);
    stuck.abort();
    this.#socket.destroy();
    if (!isBack) throw new Error(`no echo within ${stuckAfterMs} ms on the healthy stream`);
  }

  async #run(): Promise<void> {
    const socket = this.#socket;
    const closed = once(socket, 'close').then(() => {
      if (!this.#isOver) this.failure ??= 'the stream closed';
    });
    const message = Buffer.alloc(messageBytes, 'm');
    while (!this.#isOver && this.failure === undefined) {
      const startedAtMs = performance.now();
      socket.write(message);
      for (let missing = messageBytes; missing > 0 && this.failure === undefined; ) {
        const chunk = socket.read() as Buffer | null;
        if (chunk) missing -= chunk.length;
        else
          await Promise.race([new Promise((resolve) => socket.once('readable', resolve)), closed]);
      }
      if (this.failure !== undefined) return;
      this.#trips += 1;
      this.#latenciesMs.push(performance.now() - startedAtMs);
      // A person or a probe, not a load test: the flood is what has the machine.
      await pause(2);
    }
  }
}
