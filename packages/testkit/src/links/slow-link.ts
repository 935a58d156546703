import { connect, createServer, type Socket } from 'node:net';
import { type Endpoint, type EndpointOptions, Listener } from '../targets/listener.ts';
import { LinkClock } from './link-clock.ts';
import { LinkDirection, type LinkReceiver } from './link-direction.ts';

export interface SlowLinkOptions extends EndpointOptions {
  readonly to: { readonly host: string; readonly port: number };
  /** Propagation delay in one direction, in ms. A round trip takes twice as long. */
  readonly delayMs: number;
  /** Rate of each direction, shared by all connections: 1,250,000 are 10 Mbit/s. */
  readonly bytesPerSecond: number;
  /**
   * Number of bytes that can wait for the wire in each direction before the link stops reading. The
   * default is the bytes of one round trip, at least 64 KiB; the minimum is the bytes of 4 ms. A sender
   * without a limit of its own fills this queue and the kernel's socket buffers before it.
   */
  readonly queueBytes?: number;
}

export interface SlowLink extends Endpoint {
  readonly connections: number;
  /** Bytes in both directions, in queues or on the wire. */
  readonly heldBytes: number;
  /** Stops the link's time: no bytes, FIN or RST leave the link. It still accepts TCP connections. */
  sever(): void;
  /** Ends `sever`. All bytes in the link continue. */
  resume(): void;
  /** Resets all connections on both sides. The link accepts new ones. */
  reset(): void;
}

const minQueueBytes = 65_536;
/** Minimum of the queue. Timers fire once in 1 ms at best, and a shorter queue would run empty in between. */
const minQueueMs = 4;

/**
 * Starts a TCP proxy in front of `to` that delays each direction by `delayMs` and limits it to
 * `bytesPerSecond`. It carries half-close and resets with the same delay. The link answers a SYN at once,
 * so a new connection has no delay.
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
  // Imported here, because many test files do not need it.
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
 * One connection's bytes in one direction. Reads `source` while the link has room, and writes to
 * `destination` what leaves the link. A receiver that does not read stops only its own source. Its bytes in
 * the link are kept: at most the queue and the bytes of one delay.
 */
class Flow implements LinkReceiver {
  readonly source: Socket;
  readonly #destination: Socket;
  readonly #direction: LinkDirection;
  readonly #clock: LinkClock;
  /** A reset has left the link: resets `destination`. */
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
    source.once('end', () => direction.send(this, 'end'));
    source.once('error', () => direction.send(this, 'reset'));
    destination.on('drain', () => this.regulate());
    this.regulate();
  }

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
