import { constants } from 'node:http2';
import {
  ClientCall,
  type PacketObserver,
  PacketStream,
  ServingTunnel,
} from '@fairlead/konnectivity';
import {
  type Hello,
  type MemoryBudget,
  Session,
  type SessionHandler,
  type SessionOptions,
  type Transport,
  TunnelError,
} from '@fairlead/protocol';
import type { ServerConnection } from '../connect/connect-attempt.ts';
import type { GrpcConnection } from '../connect/connect-grpc.ts';

/** The session of a tunnel, for Fairlead's protocol and for Konnectivity's. */
export type TunnelSession = Session | GrpcSession;

interface TunnelSessionOptions extends SessionOptions {
  readonly memory: MemoryBudget;
  /** For Konnectivity's protocol, which has no flow control per stream. */
  readonly stalledStreamTimeoutMs: number;
  readonly packetObserver: PacketObserver;
}

/** The session for a connection: of docs/spec.md, or of Konnectivity's packets. */
export function createSession(
  connection: ServerConnection,
  handler: SessionHandler,
  options: TunnelSessionOptions,
): TunnelSession {
  return connection.kind === 'grpc'
    ? new GrpcSession(connection as GrpcConnection, handler, options)
    : new Session(connection as Transport, handler, options);
}

/** A call to a Konnectivity server, with the interface of a session. */
class GrpcSession extends ServingTunnel {
  readonly peerHello: Hello;
  /** False: a call that is lost ends, and HTTP/2 reports nothing before. */
  readonly isSilent = false;
  readonly #connection: GrpcConnection;
  readonly #handler: SessionHandler;
  readonly #options: TunnelSessionOptions;
  #serverDrains = false;
  /** Why the agent has closed it. */
  #refusal: TunnelError | undefined;

  constructor(connection: GrpcConnection, handler: SessionHandler, options: TunnelSessionOptions) {
    const { session, stream, serverId, serverCount } = connection;
    super(
      new PacketStream(new ClientCall(stream), options.packetObserver),
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
        // SETTINGS instead of PING: Konnectivity's servers end connections that send PING more than twice
        // a minute. The peer acknowledges SETTINGS as well (RFC 9113 section 6.5.3).
        probe: (onAnswer) => {
          if (session.destroyed || session.closed) return;
          const sentAtMs = performance.now();
          session.settings({}, () => onAnswer(performance.now() - sentAtMs));
        },
      },
    );
    this.peerHello = { serverId, serverCount };
    this.#connection = connection;
    this.#handler = handler;
    this.#options = options;
  }

  override start(): this {
    const handler = this.#handler;
    super.start();
    this.#connection.session.once('goaway', (code: number) => {
      if (code !== constants.NGHTTP2_NO_ERROR || this.isClosed) return;
      this.#serverDrains = true;
      handler.onDraining(new TunnelError('shutting_down', 'the server sent GOAWAY'));
    });
    // Not within the call, as for a session, whose HELLO arrives later.
    process.nextTick(() => {
      if (this.isClosed) return;
      const refusal = this.#options.refusePeer?.(this.peerHello);
      if (refusal) {
        this.close(refusal);
        return;
      }
      handler.onHello(this.peerHello);
      // A Konnectivity server accepts the agent before it answers the call.
      handler.onAcknowledged?.();
    });
    return this;
  }

  override get isDraining(): boolean {
    return this.#serverDrains || super.isDraining;
  }

  /** Does nothing: the tunnel probes the server at its own intervals. */
  ping(): void {}

  override close(error?: TunnelError): void {
    this.#refusal = error;
    super.close();
  }
}
