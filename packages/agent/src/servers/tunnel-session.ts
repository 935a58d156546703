import { constants } from 'node:http2';
import { type PacketObserver, PacketStream, ServingTunnel } from '@fairlead/konnectivity';
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
export type TunnelSession = Pick<
  Session,
  | 'isClosed'
  | 'isDraining'
  | 'isSilent'
  | 'streamCount'
  | 'isIdle'
  | 'transportClosed'
  | 'peerHello'
  | 'minRttMs'
  | 'receivedBytes'
  | 'sentBytes'
  | 'ping'
  | 'drain'
  | 'close'
> & { readonly transport: Pick<Transport, 'kind'> };

interface TunnelSessionOptions extends SessionOptions {
  readonly memory: MemoryBudget;
  /** For Konnectivity's protocol, which has no flow control per stream. */
  readonly stalledStreamTimeoutMs: number;
  /** Notified of the packets of gRPC calls. */
  readonly packetObserver: PacketObserver;
}

/** Starts the protocol of a connection: docs/spec.md, or Konnectivity's packets. */
export function openSession(
  connection: ServerConnection,
  handler: SessionHandler,
  options: TunnelSessionOptions,
): TunnelSession {
  return connection.kind === 'grpc'
    ? new GrpcSession(connection as GrpcConnection, handler, options).start()
    : new Session(connection as Transport, handler, options).start();
}

/** A call to a Konnectivity server, with the interface of a session. */
class GrpcSession extends ServingTunnel implements TunnelSession {
  readonly peerHello: Hello;
  /** False: a call that is lost ends, and HTTP/2 reports nothing before. */
  readonly isSilent = false;
  #serverDrains = false;
  /** Why the agent has closed it. */
  #refusal: TunnelError | undefined;

  constructor(connection: GrpcConnection, handler: SessionHandler, options: TunnelSessionOptions) {
    const { session, stream, serverId, serverCount } = connection;
    super(
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
    session.once('goaway', (code: number) => {
      if (code !== constants.NGHTTP2_NO_ERROR || this.isClosed) return;
      this.#serverDrains = true;
      handler.onDraining(new TunnelError('shutting_down', 'the server sent GOAWAY'));
    });
    // After the constructor has returned: only then does the handler have this session.
    process.nextTick(() => {
      if (this.isClosed) return;
      const refusal = options.refusePeer?.(this.peerHello);
      if (refusal) {
        this.close(refusal);
        return;
      }
      handler.onHello(this.peerHello);
      // A Konnectivity server accepts the agent before it answers the call.
      handler.onAcknowledged?.();
    });
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
