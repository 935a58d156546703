import { connect, createServer, type Socket } from 'node:net';
import { type Endpoint, type EndpointOptions, Listener } from '../targets/listener.ts';
import { LinkClock } from './link-clock.ts';
import { LinkDirection, type LinkReceiver } from './link-direction.ts';

export interface SlowLinkOptions extends EndpointOptions {
  /** Where the far end leads. */
  readonly to: { readonly host: string; readonly port: number };
  /** Propagation delay, one way: the round trip takes twice as long. */
  readonly delayMs: number;
  /** Rate of each direction, shared by all connections: 1,250,000 are 10 Mbit/s. */
  readonly bytesPerSecond: number;
  /**
   * How many bytes may wait for the wire, in each direction, before the link stops reading; by
   * default one round trip's worth, at least 64 KiB; never less than 4 ms' worth. A sender that does not restrain itself fills
   * this and the kernel's socket buffers in front of it.
   */
  readonly queueBytes?: number;
}

/** A TCP proxy that behaves like a long thin wire. */
export interface SlowLink extends Endpoint {
  /** Connections that go through the link now. */
  readonly connections: number;
  /** Bytes inside, both directions: waiting for the wire or on it. */
  readonly heldBytes: number;
  /** Time stands still on the link: nothing comes out, no FIN, no RST. TCP to it still connects. */
  sever(): void;
  /** Ends `sever`; what was inside goes on where it stood, nothing is lost. */
  resume(): void;
  /** Resets all connections on both sides; the link goes on for new ones. */
  reset(): void;
}

const minQueueBytes = 65_536;
/** Timers come by once in 1 ms at best: a queue that lasts less than a few would run dry between. */
const minQueueMs = 4;

/**
 * Starts a TCP proxy in front of `to` that delays each direction by `delayMs` and limits it to
 * `bytesPerSecond`. Half-close and resets are carried, with the delay. Setting up a connection
 * costs no delay of its own: the link answers a SYN at once.
 *
 * @throws RangeError for a negative delay or a rate that is not positive and finite
 */
export async function startSlowLink(options: SlowLinkOptions): Promise<SlowLink> {
  const { to, delayMs, bytesPerSecond } = options;
  if (!(delayMs >= 0)) throw new RangeError(`delayMs must not be negative: ${delayMs}`);
  if (!(bytesPerSecond > 0 && bytesPerSecond < Number.POSITIVE_INFINITY)) {
    throw new RangeError(`bytesPerSecond must be positive and finite: ${bytesPerSecond}`);
  }
  const roundTripBytes = (bytesPerSecond * 2 * delayMs) / 1000;
  const wantedQueueBytes = options.queueBytes ?? Math.max(roundTripBytes, minQueueBytes);
  const queueBytes = Math.max(wantedQueueBytes, (bytesPerSecond * minQueueMs) / 1000);
  // Loaded here only: many test files need nothing of this package.
  const { resetSocket } = await import('@fairlead/protocol');
  const clock = new LinkClock();
  const directions = [0, 1].map(
    () => new LinkDirection({ delayMs, bytesPerSecond, queueBytes, clock }),
  ) as [LinkDirection, LinkDirection];
  const [outward, homeward] = directions;
  const flows = new Set<Flow>();

  const server = createServer({ allowHalfOpen: true, noDelay: true }, (near) => {
    const far = connect({ ...to, allowHalfOpen: true, noDelay: true });
    for (const flow of [
      new Flow(near, far, outward, clock, () => resetSocket(far)),
      new Flow(far, near, homeward, clock, () => resetSocket(near)),
    ]) {
      flows.add(flow);
      flow.source.once('close', () => flows.delete(flow));
    }
  });
  const listener = await Listener.start(server, options);
  return {
    host: listener.host,
    port: listener.port,
    get connections() {
      return listener.sockets.size;
    },
    get heldBytes() {
      return outward.heldBytes + homeward.heldBytes;
    },
    sever() {
      clock.stop();
      for (const flow of flows) flow.regulate();
    },
    resume() {
      clock.start();
      for (const direction of directions) direction.wake();
      for (const flow of flows) flow.regulate();
    },
    reset() {
      for (const direction of directions) direction.clear();
      for (const flow of flows) resetSocket(flow.source);
    },
    async close() {
      for (const flow of flows) flow.source.destroy();
      for (const direction of directions) direction.clear();
      await listener.close();
    },
  };
}

/**
 * One connection's bytes in one direction: reads `source` while the link has room, writes what
 * comes out to `destination`. A receiver that does not read stops its own source only; what is
 * on its way by then is kept for it, at most the link's queue and one delay's worth.
 */
class Flow implements LinkReceiver {
  readonly source: Socket;
  readonly #destination: Socket;
  readonly #direction: LinkDirection;
  readonly #clock: LinkClock;
  /** What comes out at the far end of a reset: resets `destination`. */
  readonly onReset: () => void;

  constructor(
    source: Socket,
    destination: Socket,
    direction: LinkDirection,
    clock: LinkClock,
    onReset: () => void,
  ) {
    this.source = source;
    this.#destination = destination;
    this.#direction = direction;
    this.#clock = clock;
    this.onReset = onReset;
    source.on('data', (chunk: Buffer) => {
      direction.send(this, chunk);
      this.regulate();
    });
    source.once('end', () => direction.sendEnd(this));
    source.once('error', () => direction.sendReset(this));
    destination.on('drain', () => this.regulate());
    this.regulate();
  }

  /** Reads or stops reading, whichever is right now. */
  regulate(): void {
    if (this.#clock.stopped || this.#destination.writableNeedDrain) {
      this.source.pause();
    } else if (this.#direction.isFull) {
      this.source.pause();
      this.#direction.awaitRoom(this);
    } else {
      this.source.resume();
    }
  }

  onBytes(chunk: Buffer): void {
    if (!this.#destination.writable) return;
    if (!this.#destination.write(chunk)) this.regulate();
  }

  onEnd(): void {
    this.#destination.end();
  }

  onRoom(): void {
    this.regulate();
  }
}
