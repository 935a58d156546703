import { MemoryBudget, TunnelError } from '@fairlead/protocol';
import { Liveness } from '@fairlead/protocol/internal';
import { type GrpcError, toGrpcError } from '../packets/grpc-status.ts';
import type { Packet } from '../packets/packet.ts';
import type { PacketStream } from '../packets/packet-stream.ts';
import type { Connection, ConnectionHost } from './connection.ts';

export interface PacketTunnelOptions {
  /** Idle time after which the peer is asked for a sign of life; default 10 s. */
  readonly pingIntervalMs?: number;
  /** Further silence after which the tunnel is lost; default 20 s. */
  readonly pingTimeoutMs?: number;
  /** How long a stream may leave a full buffer untouched; default 5 s. */
  readonly stalledStreamTimeoutMs?: number;
  /** What streams hold is counted here. */
  readonly memory?: MemoryBudget;
  /**
   * Asks the peer for a sign of life below gRPC, which has none of its own.
   * @param onAnswer called when there was one, with the time that it took
   */
  probe(onAnswer: (rttMs: number) => void): void;
  /** Told when a full stream stops the tunnel (true) and when it no longer does. */
  onHeldUp?(isHeldUp: boolean): void;
}

/** How long the last packets of a closed tunnel may take. */
const lingerMs = 5_000;

/** Woken at once when there is room again; each may then write a chunk before it is told to wait. */
const wokenAtOnce = 8;

/**
 * What both ends of an agent's gRPC call have in common: connections by number, one queue out, and the
 * liveness of the whole. Subclasses know what packets mean for their end.
 */
export abstract class PacketTunnel<C extends Connection> {
  /** As a Session has it, for those who show both. */
  readonly transport = { kind: 'grpc' } as const;
  protected readonly wire: PacketStream;
  protected readonly host: ConnectionHost;
  protected readonly liveness: Liveness;
  /** Resolves when the call is over, some time after the end of the tunnel: what was sent has left. */
  readonly transportClosed: Promise<void>;
  /** Those that have a number. */
  protected readonly connections = new Map<bigint, C>();
  readonly #options: PacketTunnelOptions;
  /** Full of bytes that their consumers do not take. */
  readonly #full = new Set<Connection>();
  /** Told to hold back, in the order of their turns. */
  readonly #waiting = new Set<Connection>();
  readonly #forgetFinder: () => void;
  #minRttMs = Number.POSITIVE_INFINITY;
  #lingerTimer: NodeJS.Timeout | undefined;
  #resolveTransportClosed: () => void = () => {};
  #isClosed = false;

  constructor(wire: PacketStream, options: PacketTunnelOptions) {
    this.wire = wire;
    this.#options = options;
    this.transportClosed = new Promise((resolve) => {
      this.#resolveTransportClosed = resolve;
    });
    const memory = options.memory ?? new MemoryBudget(64 * 1_048_576);
    this.host = {
      memory,
      stalledStreamTimeoutMs: options.stalledStreamTimeoutMs ?? 5_000,
      sendData: (connection, data) => this.#sendData(connection, data),
      onFull: (connection) => this.#onFull(connection),
      onNotFull: (connection) => this.#onNotFull(connection),
      onClosed: (connection) => {
        this.#waiting.delete(connection);
        this.onConnectionClosed(connection as C);
      },
    };
    this.#forgetFinder = memory.addFinder(() => this.#largest());
    this.liveness = new Liveness(
      {
        pingIntervalMs: options.pingIntervalMs ?? 10_000,
        pingTimeoutMs: options.pingTimeoutMs ?? 20_000,
      },
      {
        sendPing: () => this.#probe(),
        onLost: () => this.destroy(new TunnelError('tunnel_silent')),
        isAwaited: () => this.hasPendingDials,
        onUnresponsive: () => this.onUnresponsive(new TunnelError('tunnel_silent')),
      },
    );
    // At once, so that the round trip time is known.
    this.#probe();
    wire.start({
      onPacket: (packet) => {
        if (!this.#isClosed) this.onPacket(packet);
      },
      onBytes: () => this.liveness.onBytes(),
      onDrain: () => this.#wakeSome(),
      onEnd: () => this.onPeerEnd(),
      onClose: (error) => this.#onClose(error),
    });
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Minimum round trip time so far; Infinity before the first. */
  get minRttMs(): number {
    return this.#minRttMs;
  }

  /** Milliseconds since the last byte from the peer. */
  get silentMs(): number {
    return this.liveness.silentMs;
  }

  get receivedBytes(): number {
    return this.wire.receivedBytes;
  }

  get sentBytes(): number {
    return this.wire.sentBytes;
  }

  /** Ends the tunnel at once; its streams hear why. */
  destroy(error: TunnelError): void {
    this.wire.destroy(toGrpcError(error));
    this.finish(error);
  }

  protected abstract readonly hasPendingDials: boolean;
  protected abstract onPacket(packet: Packet): void;
  /** The peer has ended the call, or half of it. */
  protected abstract onPeerEnd(): void;
  /** The peer does not react while dials wait for it. */
  protected abstract onUnresponsive(error: TunnelError): void;
  protected abstract onConnectionClosed(connection: C): void;
  /** The tunnel is gone; exactly once. Connections have been told. */
  protected abstract onFinish(error: TunnelError | undefined): void;

  /** @param error undefined after an end in order */
  protected finish(error: TunnelError | undefined): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.liveness.stop();
    const reason = error ?? new TunnelError('tunnel_lost');
    for (const connection of [...this.connections.values()]) connection.onTunnelLost(reason);
    this.#forgetFinder();
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

  #sendData(connection: Connection, data: Buffer): boolean {
    const hasRoom = this.wire.sendData(connection.connectId, data);
    if (!hasRoom) this.#waiting.add(connection);
    return hasRoom;
  }

  /** A few at a time: all at once would queue a chunk for each of them. */
  #wakeSome(): void {
    let woken = 0;
    for (const connection of this.#waiting) {
      if (woken === wokenAtOnce || !this.wire.hasRoom) break;
      this.#waiting.delete(connection);
      connection.onRoom();
      woken += 1;
    }
    // Those that were woken may have nothing to write: then no 'drain' would come for the others.
    if (this.#waiting.size > 0 && this.wire.hasRoom) setImmediate(() => this.#wakeSome());
  }

  #onFull(connection: Connection): void {
    this.#full.add(connection);
    if (this.#full.size > 1) return;
    this.wire.pause();
    this.#options.onHeldUp?.(true);
  }

  #onNotFull(connection: Connection): void {
    if (!this.#full.delete(connection) || this.#full.size > 0) return;
    this.wire.resume();
    this.#options.onHeldUp?.(false);
  }

  #largest(): Connection | undefined {
    let largest: Connection | undefined;
    for (const connection of this.connections.values()) {
      if (connection.heldBytes > (largest?.heldBytes ?? 0)) largest = connection;
    }
    return largest;
  }
}
