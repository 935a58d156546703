import { constants } from 'node:http2';
import { type PacketObserver, PacketStream, ServingTunnel } from '@fairlead/konnectivity';
import {
  type Hello,
  type MemoryBudget,
  Session,
  type SessionHandler,
  type SessionOptions,
  type TransportKind,
  TunnelError,
} from '@fairlead/protocol';
import type { ServerConnection } from '../connect/connect-attempt.ts';
import type { GrpcConnection } from '../connect/connect-grpc.ts';

/** What a tunnel's owner needs of it, whatever is spoken on it; a Session has all of it. */
export interface AgentTunnel {
  readonly transport: { readonly kind: TransportKind };
  readonly isClosed: boolean;
  readonly isDraining: boolean;
  /** Whether the server leaves a sign of life wanting. */
  readonly isSilent: boolean;
  readonly streamCount: number;
  /** Whether the tunnel may be closed: no stream is open or on its way, of which nobody would tell its client. */
  readonly isIdle: boolean;
  /** Resolves when what was sent has left, some time after the end. */
  readonly transportClosed: Promise<void>;
  /** What the server said of itself so far. */
  readonly peerHello: Hello | undefined;
  /** Infinity before the first round trip. */
  readonly minRttMs: number;
  readonly receivedBytes: number;
  readonly sentBytes: number;
  /** Asks for a sign of life when the server was silent for a while. */
  askForLife(): void;
  /** Asks the server for no new streams; open ones go on. */
  drain(error: TunnelError): void;
  /** Ends the tunnel and its streams. @param error why, if not in order */
  close(error?: TunnelError): void;
}

export interface AgentTunnelOptions extends SessionOptions {
  readonly memory: MemoryBudget;
  /** For connections without credit per stream. */
  readonly stalledStreamTimeoutMs: number;
  /** Told of the packets of gRPC calls. */
  readonly packetObserver: PacketObserver;
}

/** Starts what the connection is for: a session of docs/spec.md, or Konnectivity's packets. */
export function openTunnel(
  connection: ServerConnection,
  handler: SessionHandler,
  options: AgentTunnelOptions,
): AgentTunnel {
  if ('serverId' in connection) return new GrpcTunnel(connection, handler, options);
  return new Session(connection, handler, options);
}

/** A call to a Konnectivity server, seen as a session. */
class GrpcTunnel implements AgentTunnel {
  readonly transport = { kind: 'grpc' } as const;
  readonly peerHello: Hello;
  readonly #tunnel: ServingTunnel;
  #serverDrains = false;
  /** Why the agent has closed it. */
  #refusal: TunnelError | undefined;

  constructor(connection: GrpcConnection, handler: SessionHandler, options: AgentTunnelOptions) {
    const { session, stream, serverId, serverCount } = connection;
    this.peerHello = { serverId, serverCount };
    this.#tunnel = new ServingTunnel(
      new PacketStream(stream, 'client', options.packetObserver),
      {
        onOpen: (offered) => handler.onOpen(offered),
        onIdle: () => handler.onIdle?.(),
        onClose: (error) => handler.onClose(this.#refusal ?? error),
      },
      {
        ...(options.pingIntervalMs !== undefined && { pingIntervalMs: options.pingIntervalMs }),
        ...(options.pingTimeoutMs !== undefined && { pingTimeoutMs: options.pingTimeoutMs }),
        stalledStreamTimeoutMs: options.stalledStreamTimeoutMs,
        memory: options.memory,
        // Not by PING: Konnectivity's servers end connections that send them more often than twice a minute.
        // SETTINGS are acknowledged just as well (RFC 9113 section 6.5.3).
        probe: (onAnswer) => {
          if (session.destroyed || session.closed) return;
          const sentAtMs = performance.now();
          session.settings({}, () => onAnswer(performance.now() - sentAtMs));
        },
      },
    );
    session.once('goaway', (code: number) => {
      if (code !== constants.NGHTTP2_NO_ERROR || this.#tunnel.isClosed) return;
      this.#serverDrains = true;
      handler.onDraining(new TunnelError('shutting_down', 'the server sent GOAWAY'));
    });
    // Not within the constructor: the owner does not know this tunnel before it returns.
    process.nextTick(() => {
      if (this.#tunnel.isClosed) return;
      const refusal = options.refusePeer?.(this.peerHello);
      if (refusal) {
        this.close(refusal);
        return;
      }
      handler.onHello(this.peerHello);
      // A Konnectivity server has judged the call before it answers.
      handler.onAcknowledged?.();
    });
  }

  get isClosed(): boolean {
    return this.#tunnel.isClosed;
  }

  get isDraining(): boolean {
    return this.#serverDrains || this.#tunnel.isDraining;
  }

  /** A call that is lost ends; HTTP/2 tells of nothing before. */
  get isSilent(): boolean {
    return false;
  }

  get streamCount(): number {
    return this.#tunnel.streamCount;
  }

  get isIdle(): boolean {
    return this.#tunnel.isIdle;
  }

  get transportClosed(): Promise<void> {
    return this.#tunnel.transportClosed;
  }

  get minRttMs(): number {
    return this.#tunnel.minRttMs;
  }

  get receivedBytes(): number {
    return this.#tunnel.receivedBytes;
  }

  get sentBytes(): number {
    return this.#tunnel.sentBytes;
  }

  /** The tunnel asks by itself, at its intervals. */
  askForLife(): void {}

  drain(): void {
    this.#tunnel.drain();
  }

  close(error?: TunnelError): void {
    this.#refusal = error;
    this.#tunnel.close();
  }
}
