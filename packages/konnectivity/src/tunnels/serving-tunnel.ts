import { type Target, TunnelError, type TunnelStream, toTunnelError } from '@fairlead/protocol';
import { dialErrorText } from '../packets/dial-error-text.ts';
import { type Packet, UNRECOGNIZED_CONNECTION } from '../packets/packet.ts';
import { parseAddress } from '../packets/packet-codec.ts';
import type { PacketStream } from '../packets/packet-stream.ts';
import { PacketTunnel, type PacketTunnelOptions } from './packet-tunnel.ts';
import { ServedConnection, type ServedConnectionHost } from './served-connection.ts';

/**
 * How long after DRAIN a server may still dial. DRAIN is not acknowledged. If a server chose this agent before it read
 * DRAIN, its dial arrives at most a round trip and a few ticks later.
 */
const drainNoticeMs = 1_000;

/** The owner of a serving tunnel. `onClose` is called exactly once, and last. */
export interface ServingTunnelHandler {
  /** The server dials. The handler calls `stream.attach`, and later `accept` or `refuse`. */
  onOpen(stream: TunnelStream): void;
  /** The last stream has closed, or the time for dials after DRAIN has ended. */
  onIdle(): void;
  onClose(error?: TunnelError): void;
}

/**
 * The latest number of a connection in this process. Servers identify a connection by agent ID and number, so all
 * tunnels of an agent share one count.
 */
let lastConnectId = 0n;

/** The agent's end of its call to a server: accepts dials and serves their connections. */
export class ServingTunnel extends PacketTunnel<ServedConnection> implements ServedConnectionHost {
  readonly #handler: ServingTunnelHandler;
  /** Unanswered dials. */
  readonly #offered = new Map<bigint, ServedConnection>();
  /** Connections that are offered, open, or closed by the server but not by the target. */
  readonly #alive = new Set<ServedConnection>();
  #drainSent = false;
  /** Runs while dials may arrive that the server sent before it read DRAIN. */
  #drainNotice: NodeJS.Timeout | undefined;

  constructor(wire: PacketStream, handler: ServingTunnelHandler, options: PacketTunnelOptions) {
    super(wire, options);
    this.#handler = handler;
  }

  get isDraining(): boolean {
    return this.#drainSent;
  }

  get streamCount(): number {
    return this.#alive.size;
  }

  /** Whether no stream is open and no dial can arrive from a server that has not read DRAIN. */
  get isIdle(): boolean {
    return this.#alive.size === 0 && this.#drainNotice === undefined;
  }

  /** Asks the server for no new dials. Open streams go on. */
  drain(): void {
    if (this.#drainSent || this.isClosed) return;
    this.#drainSent = true;
    this.wire.send({ type: 'DRAIN' });
    this.#drainNotice = setTimeout(() => {
      this.#drainNotice = undefined;
      if (this.isIdle) this.#handler.onIdle();
    }, drainNoticeMs);
  }

  /** Ends the call in order, and its streams. */
  close(): void {
    this.wire.end();
    this.finish(this.streamCount > 0 ? new TunnelError('shutting_down') : undefined);
  }

  protected get hasPendingDials(): boolean {
    return false;
  }

  protected onPacket(packet: Packet): void {
    switch (packet.type) {
      case 'DIAL_REQ':
        this.#onDialRequest(packet.random, packet.address);
        break;
      case 'DATA':
        this.#onData(packet.connectId, packet.data);
        break;
      case 'CLOSE_REQ':
        this.#onCloseRequest(packet.connectId);
        break;
      case 'DIAL_CLS':
        this.#offered.get(packet.random)?.onDialClosed();
        break;
      default:
        // Only agents send the other types.
        break;
    }
  }

  protected onPeerEnd(): void {
    // The status of the call follows and ends the tunnel.
  }

  protected onUnresponsive(): void {
    // Only a server dials, so nothing waits here.
  }

  override onClosed(connection: ServedConnection): void {
    super.onClosed(connection);
    this.#alive.delete(connection);
    this.connections.delete(connection.connectId);
    if (this.#offered.get(connection.random) === connection) {
      this.#offered.delete(connection.random);
    }
    if (this.isIdle && !this.isClosed) this.#handler.onIdle();
  }

  protected onFinish(error: TunnelError | undefined): void {
    clearTimeout(this.#drainNotice);
    const reason = error ?? new TunnelError('tunnel_lost');
    for (const connection of [...this.#alive]) connection.onTunnelLost(reason);
    this.#handler.onClose(error);
  }

  #onDialRequest(random: bigint, address: string): void {
    let target: Target;
    try {
      target = parseAddress(address);
      if (this.memory.isFull) throw new TunnelError('memory_limit');
    } catch (thrown) {
      const error = dialErrorText(toTunnelError(thrown));
      this.wire.send({ type: 'DIAL_RSP', random, connectId: 0n, error });
      return;
    }
    const connection = new ServedConnection(target, random, this);
    this.#offered.set(random, connection);
    this.#alive.add(connection);
    this.#handler.onOpen(connection);
  }

  sendAccepted(connection: ServedConnection): void {
    this.#offered.delete(connection.random);
    lastConnectId += 1n;
    connection.connectId = lastConnectId;
    this.connections.set(lastConnectId, connection);
    const { connectId, random } = connection;
    this.wire.send({ type: 'DIAL_RSP', random, connectId, error: '' });
  }

  sendRefused({ random }: ServedConnection, error: TunnelError): void {
    this.wire.send({ type: 'DIAL_RSP', random, connectId: 0n, error: dialErrorText(error) });
  }

  sendClosed({ connectId }: ServedConnection, error?: TunnelError): void {
    this.connections.delete(connectId);
    this.wire.send({ type: 'CLOSE_RSP', connectId, error: error ? dialErrorText(error) : '' });
  }

  #onData(connectId: bigint, data: Buffer): void {
    const connection = this.connections.get(connectId);
    if (connection) connection.onData(data);
    else if (connectId !== 0n) this.#refuse(connectId);
  }

  #onCloseRequest(connectId: bigint): void {
    const connection = this.connections.get(connectId);
    if (connection) connection.onCloseRequest();
    else if (connectId !== 0n) this.#refuse(connectId);
  }

  #refuse(connectId: bigint): void {
    this.wire.send({ type: 'CLOSE_RSP', connectId, error: UNRECOGNIZED_CONNECTION });
  }
}
