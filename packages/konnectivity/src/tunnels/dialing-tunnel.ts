import { randomBytes } from 'node:crypto';
import { formatTarget, type Target, TunnelError, type TunnelStream } from '@fairlead/protocol';
import { dialErrorFromText } from '../packets/dial-error-text.ts';
import type { Packet } from '../packets/packet.ts';
import type { PacketStream } from '../packets/packet-stream.ts';
import { DialedConnection, type DialedConnectionHost } from './dialed-connection.ts';
import { PacketTunnel, type PacketTunnelOptions } from './packet-tunnel.ts';

export interface DialingTunnelOptions extends PacketTunnelOptions {
  /** How long a stream may be idle after one side has ended; default 60 s. */
  readonly halfCloseTimeoutMs?: number;
}

/** The owner of a dialing tunnel. `onClose` is called exactly once, and last. */
export interface DialingTunnelHandler {
  /** The agent asks for no new dials. */
  onDraining(): void;
  /** A DIAL_RSP arrived for a dial that was canceled. */
  onUnknownDial(): void;
  onClose(error?: TunnelError): void;
}

/** Receives the result of a dial. */
export interface DialResultHandler {
  /** The agent has connected to the target. */
  onOpened(stream: TunnelStream): void;
  /** With the agent's error, `tunnel_lost`, `tunnel_silent`, or the error of `reset`. */
  onFailed(error: TunnelError): void;
}

/** How many connections that this side has closed, and the agent has not confirmed, are remembered. */
const maxClosing = 4096;

/** The server's end of an agent's call: dials through the agent, and streams to the dialed targets. */
export class DialingTunnel extends PacketTunnel<DialedConnection> implements DialedConnectionHost {
  readonly halfCloseTimeoutMs: number;
  readonly #handler: DialingTunnelHandler;
  readonly #dials = new Map<
    bigint,
    { readonly target: Target; readonly handler: DialResultHandler }
  >();
  /** Closed connections whose packets may still arrive, and are ignored. */
  readonly #closing = new Set<bigint>();
  #isDraining = false;

  constructor(wire: PacketStream, handler: DialingTunnelHandler, options: DialingTunnelOptions) {
    super(wire, options);
    this.#handler = handler;
    this.halfCloseTimeoutMs = options.halfCloseTimeoutMs ?? 60_000;
  }

  /** Whether the agent has sent DRAIN. */
  get isDraining(): boolean {
    return this.#isDraining;
  }

  /** Streams that are being dialed or open. */
  get streamCount(): number {
    return this.#dials.size + this.connections.size;
  }

  /**
   * Opens a stream. One method of the handler is called later, once.
   * @returns the attempt, which `reset` cancels
   * @throws TunnelError `tunnel_lost`, `memory_limit`
   */
  dial(target: Target, handler: DialResultHandler): { reset(error: TunnelError): void } {
    if (this.isClosed) throw new TunnelError('tunnel_lost');
    if (this.memory.isFull) throw new TunnelError('memory_limit');
    const random = randomBytes(8).readBigUInt64BE() >> 1n;
    this.#dials.set(random, { target, handler });
    this.wire.send({ type: 'DIAL_REQ', protocol: 'tcp', address: formatTarget(target), random });
    this.liveness.expectAnswer();
    return {
      reset: (error) => {
        if (!this.#dials.has(random)) return;
        this.wire.send({ type: 'DIAL_CLS', random });
        this.#settle(random, error);
      },
    };
  }

  /** Ends the call in order, and its streams. The agent uses other servers. */
  close(): void {
    this.wire.end();
    this.finish(this.streamCount > 0 ? new TunnelError('shutting_down') : undefined);
  }

  protected get hasPendingDials(): boolean {
    return this.#dials.size > 0;
  }

  protected onPacket(packet: Packet): void {
    switch (packet.type) {
      case 'DIAL_RSP':
        this.#onDialResponse(packet.random, packet.connectId, packet.error);
        break;
      case 'DATA':
        this.#onData(packet.connectId, packet.data);
        break;
      case 'CLOSE_RSP':
        this.#onCloseResponse(packet.connectId, packet.error);
        break;
      case 'DIAL_CLS':
        this.#settle(packet.random, new TunnelError('dial_failed', 'dial closed'));
        break;
      case 'DRAIN':
        if (this.#isDraining) break;
        this.#isDraining = true;
        this.#handler.onDraining();
        break;
      default:
        // Only servers send the other types, so they have no meaning here.
        break;
    }
  }

  protected onPeerEnd(): void {
    this.wire.end();
    this.finish(this.streamCount > 0 ? new TunnelError('tunnel_lost') : undefined);
  }

  protected onUnresponsive(error: TunnelError): void {
    for (const random of [...this.#dials.keys()]) {
      this.wire.send({ type: 'DIAL_CLS', random });
      this.#settle(random, error);
    }
  }

  override onClosed(connection: DialedConnection): void {
    super.onClosed(connection);
    if (this.connections.get(connection.connectId) === connection) {
      this.connections.delete(connection.connectId);
    }
  }

  protected onFinish(error: TunnelError | undefined): void {
    const reason = error ?? new TunnelError('tunnel_lost');
    for (const random of [...this.#dials.keys()]) this.#settle(random, reason);
    this.#handler.onClose(error);
  }

  #settle(random: bigint, result: TunnelStream | TunnelError): void {
    const dial = this.#dials.get(random);
    this.#dials.delete(random);
    if (result instanceof TunnelError) dial?.handler.onFailed(result);
    else dial?.handler.onOpened(result);
  }

  #onDialResponse(random: bigint, connectId: bigint, error: string): void {
    const dial = this.#dials.get(random);
    if (!dial) {
      // The dial was canceled. Without CLOSE_REQ, the agent would keep the connection forever.
      this.#handler.onUnknownDial();
      if (connectId !== 0n) this.sendClose({ connectId });
    } else if (error !== '') {
      this.#settle(random, dialErrorFromText(error));
    } else if (connectId === 0n || this.connections.has(connectId)) {
      const text = `the agent gave a new connection the number ${connectId}`;
      this.destroy(new TunnelError('protocol_error', text));
    } else {
      const connection = new DialedConnection(dial.target, connectId, this);
      this.#closing.delete(connectId);
      this.connections.set(connectId, connection);
      this.#settle(random, connection);
    }
  }

  #onData(connectId: bigint, data: Buffer): void {
    const connection = this.connections.get(connectId);
    if (connection) connection.onData(data);
    else if (connectId !== 0n && !this.#closing.has(connectId)) this.sendClose({ connectId });
  }

  #onCloseResponse(connectId: bigint, error: string): void {
    const connection = this.connections.get(connectId);
    this.#closing.delete(connectId);
    if (!connection) return;
    // The number is free from here on, although an agent uses it again only in a later tunnel.
    this.connections.delete(connectId);
    connection.onCloseResponse(error);
  }

  sendClose({ connectId }: { readonly connectId: bigint }): void {
    this.wire.send({ type: 'CLOSE_REQ', connectId });
    this.#closing.add(connectId);
    if (this.#closing.size <= maxClosing) return;
    for (const oldest of this.#closing) {
      this.#closing.delete(oldest);
      break;
    }
  }
}
