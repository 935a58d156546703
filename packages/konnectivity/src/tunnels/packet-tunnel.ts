import {
  Liveness,
  type LivenessOptions,
  largestOf,
  MemoryBudget,
  TunnelError,
} from '@fairlead/protocol';
import { type GrpcError, toGrpcError } from '../packets/grpc-status.ts';
import type { Packet } from '../packets/packet.ts';
import type { PacketStream } from '../packets/packet-stream.ts';
import type { Connection, ConnectionHost } from './connection.ts';

export interface PacketTunnelOptions extends LivenessOptions {
  /** How long a stream may leave a full buffer untouched; default 5 s. */
  readonly stalledStreamTimeoutMs?: number;
  /** Counts what the streams hold. */
  readonly memory?: MemoryBudget;
  /**
   * Sends the peer a ping at the HTTP/2 level, because Konnectivity's packets have none.
   * @param onAnswer called with the round trip time when the peer has answered
   */
  probe(onAnswer: (rttMs: number) => void): void;
  /** Called when a full stream stops the tunnel (true) and when it no longer does (false). */
  onHeldUp?(isHeldUp: boolean): void;
}

/** How long the last packets of a closed tunnel may take. */
const lingerMs = 5_000;

/** How many connections are notified at once of room. Each may then write a chunk. */
const wokenAtOnce = 8;

/**
 * What both ends of an agent's gRPC call have in common: connections by number, one output queue, and liveness.
 * Subclasses handle the packets of their end.
 */
export abstract class PacketTunnel<C extends Connection> implements ConnectionHost {
  /** As in a Session, for code that shows both. */
  readonly transport = { kind: 'grpc' } as const;
  protected readonly wire: PacketStream;
  readonly memory: MemoryBudget;
  readonly stalledStreamTimeoutMs: number;
  protected readonly liveness: Liveness;
  /** Resolves when the call has ended, some time after `onClose`. From then on, no sent byte waits in this process. */
  readonly transportClosed: Promise<void>;
  /** Connections by the agent's number. */
  protected readonly connections = new Map<bigint, C>();
  readonly #options: PacketTunnelOptions;
  /** Connections whose consumers do not take their bytes. */
  readonly #full = new Set<Connection>();
  /** Connections that wait for room, in order. */
  readonly #waiting = new Set<Connection>();
  #removeFinder = () => {};
  #minRttMs = Number.POSITIVE_INFINITY;
  #lingerTimer: NodeJS.Timeout | undefined;
  #resolveTransportClosed = () => {};
  #isClosed = false;

  constructor(wire: PacketStream, options: PacketTunnelOptions) {
    this.wire = wire;
    this.#options = options;
    this.transportClosed = new Promise((resolve) => {
      this.#resolveTransportClosed = resolve;
    });
    this.memory = options.memory ?? new MemoryBudget();
    this.stalledStreamTimeoutMs = options.stalledStreamTimeoutMs ?? 5_000;
    this.liveness = new Liveness(options, {
      sendPing: () => this.#probe(),
      onLost: () => this.destroy(new TunnelError('tunnel_silent')),
      isAwaited: () => this.hasPendingDials,
      onUnresponsive: () => this.onUnresponsive(new TunnelError('tunnel_silent')),
    });
  }

  /** Starts delivery and sends the first ping. Call it once. The owner is not called within the call. */
  start(): this {
    this.#removeFinder = this.memory.addFinder(() => largestOf(this.connections.values()));
    this.liveness.start();
    // At once, so that the round trip time is known.
    this.#probe();
    this.wire.start({
      onPacket: (packet) => {
        if (!this.#isClosed) this.onPacket(packet);
      },
      onBytes: () => this.liveness.onBytes(),
      onDrain: () => this.#wakeSome(),
      onEnd: () => this.onPeerEnd(),
      onClose: (error) => this.#onClose(error),
    });
    return this;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Minimum round trip time so far; Infinity before the first. */
  get minRttMs(): number {
    return this.#minRttMs;
  }

  /** Milliseconds since the latest byte from the peer. */
  get silentMs(): number {
    return this.liveness.silentMs;
  }

  get receivedBytes(): number {
    return this.wire.receivedBytes;
  }

  get sentBytes(): number {
    return this.wire.sentBytes;
  }

  /** Ends the tunnel at once. Its streams get the error. */
  destroy(error: TunnelError): void {
    this.wire.destroy(toGrpcError(error));
    this.finish(error);
  }

  // What its connections ask for.

  sendData(connection: Connection, data: Buffer): boolean {
    const hasRoom = this.wire.sendData(connection.connectId, data);
    if (!hasRoom) this.#waiting.add(connection);
    return hasRoom;
  }

  onFull(connection: Connection): void {
    this.#full.add(connection);
    if (this.#full.size > 1) return;
    this.wire.pause();
    this.#options.onHeldUp?.(true);
  }

  onNotFull(connection: Connection): void {
    if (!this.#full.delete(connection) || this.#full.size > 0) return;
    this.wire.resume();
    this.#options.onHeldUp?.(false);
  }

  onClosed(connection: Connection): void {
    this.#waiting.delete(connection);
  }

  protected abstract readonly hasPendingDials: boolean;
  protected abstract onPacket(packet: Packet): void;
  /** The peer has ended the call, or its direction. */
  protected abstract onPeerEnd(): void;
  /** The peer does not react while dials wait for it. */
  protected abstract onUnresponsive(error: TunnelError): void;
  /** The tunnel has ended. Called exactly once, after the connections were closed. */
  protected abstract onFinish(error: TunnelError | undefined): void;

  /** @param error undefined after an orderly end */
  protected finish(error: TunnelError | undefined): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.liveness.stop();
    const reason = error ?? new TunnelError('tunnel_lost');
    for (const connection of [...this.connections.values()]) connection.onTunnelLost(reason);
    this.#removeFinder();
    this.#lingerTimer = setTimeout(() => this.wire.destroy(), lingerMs);
    this.#lingerTimer.unref();
    this.onFinish(error);
  }

  #probe(): void {
    this.#options.probe((rttMs) => {
      this.#minRttMs = Math.min(this.#minRttMs, rttMs);
      this.liveness.onBytes();
    });
  }

  #onClose(error: GrpcError | undefined): void {
    const { cause } = error ?? {};
    this.#resolveTransportClosed();
    if (cause instanceof TunnelError) this.finish(cause);
    else this.finish(error && new TunnelError('tunnel_lost', error.message, { cause: error }));
    clearTimeout(this.#lingerTimer);
  }

  /** Notifies a few connections at a time. All at once would queue a chunk for each of them. */
  #wakeSome(): void {
    let woken = 0;
    for (const connection of this.#waiting) {
      if (woken === wokenAtOnce || !this.wire.hasRoom) break;
      this.#waiting.delete(connection);
      connection.onRoom();
      woken += 1;
    }
    // The notified connections may have nothing to write. Then no 'drain' would follow for the others.
    if (this.#waiting.size > 0 && this.wire.hasRoom) setImmediate(() => this.#wakeSome());
  }
}
