import {
  dialErrorText,
  GrpcError,
  MAX_MESSAGE_BYTES,
  type Packet,
  type PacketStream,
  type PacketStreamHandler,
} from '@fairlead/konnectivity';
import {
  type ClientStream,
  type ClientStreamHandler,
  joinStreams,
  type RelayedStream,
  type RelayOptions,
  TunnelError,
} from '@fairlead/protocol';
import type { Caller } from './caller.ts';
import type { GrpcObserver } from './front-end-options.ts';
import type { ProxiedStreams } from './proxied-streams.ts';

/**
 * How long a stream stays after the client closed and all its bytes have left for the target. The target receives the
 * end and can end its side; what it sends is discarded.
 */
const closeLingerMs = 5_000;
/** The same if the stream cannot carry the end to the target, which only needs time to receive the last bytes. */
const hardCloseLingerMs = 250;

/**
 * konnectivity-client drops bytes that come right after DIAL_RSP, before its dialer has woken up. The bytes of a target
 * that speaks first wait for so long, or until the client sends bytes.
 */
const clientHeadStartMs = 25;

/** While the tunnel has not taken so much, no packets are read. */
const highWaterBytes = 65_536;

/** Before a connection exists only DIAL_REQ may come, and its longest part is a name. */
const maxDialBytes = 4 * 1024;

let lastConnectId = 0n;

/**
 * One call of `ProxyService/Proxy`, which carries one stream: the packets of its dial, and then the stream's bytes.
 *
 * Konnectivity has no half-close. When the client closes, bytes that the target still sends are discarded. When the
 * target ends its side, the connection ends.
 */
export class ProxyCall implements PacketStreamHandler, ClientStream {
  readonly #wire: PacketStream;
  readonly #caller: Caller;
  readonly #streams: ProxiedStreams;
  readonly #observer: GrpcObserver;
  #phase: 'idle' | 'dialing' | 'open' | 'closed' = 'idle';
  #random = 0n;
  #connectId = 0n;
  /** The client has closed: bytes from the target are discarded. */
  #closedByClient = false;
  #isHeldUp = false;
  #stream: RelayedStream | undefined;
  #handler: ClientStreamHandler | undefined;
  /** Called if the client closes before a handler is attached. */
  #onGone: ((error?: TunnelError) => void) | undefined;
  #isClosed = false;
  /** Delivered and not consumed. */
  #heldBytes = 0;
  /** Since when the client's connection has no room; undefined while it has. */
  #fullAtMs: number | undefined;
  /** Runs while the target's bytes wait. */
  #headStartTimer: NodeJS.Timeout | undefined;
  readonly #early: Buffer[] = [];
  #endsEarly = false;
  #endDelivered = false;
  /** Runs until DIAL_REQ comes, and again after the client has closed. */
  #timer: NodeJS.Timeout | undefined;

  /** @param headTimeoutMs the deadline for the call's DIAL_REQ */
  constructor(
    wire: PacketStream,
    caller: Caller,
    streams: ProxiedStreams,
    observer: GrpcObserver,
    headTimeoutMs: number,
  ) {
    this.#wire = wire;
    this.#caller = caller;
    this.#streams = streams;
    this.#observer = observer;
    wire.maxMessageBytes = maxDialBytes;
    observer.onCallStart();
    this.#timer = setTimeout(() => this.#onSilent(), headTimeoutMs);
    wire.start(this);
  }

  onPacket(packet: Packet): void {
    switch (packet.type) {
      case 'DIAL_REQ':
        this.#onDialRequest(packet.random, packet.address);
        break;
      case 'DATA':
        if (packet.connectId !== 0n) this.#onData(packet.connectId, packet.data);
        break;
      case 'CLOSE_REQ':
        this.#onCloseRequest(packet.connectId);
        break;
      case 'DIAL_CLS':
        if (packet.random === this.#random) this.#onClientGone();
        break;
      default:
        // Only servers send these.
        break;
    }
  }

  onDrain(): void {
    if (this.#fullAtMs === undefined || this.#headStartTimer) return;
    this.#observer.onWritten(performance.now() - this.#fullAtMs);
    this.#fullAtMs = undefined;
    this.#handler?.onDrain();
  }

  /**
   * The client sends no more packets, not even CLOSE_REQ, so this closes the connection. Clients on Node end a call
   * before they reset it: a reset that came with the end is first.
   */
  onEnd(): void {
    if (this.#phase !== 'open') this.#onClientGone();
    else setImmediate(() => !this.#isClosed && this.#closeFromClient());
  }

  onClose(): void {
    this.#observer.onCallEnd();
    this.#onClientGone();
  }

  attach(handler: ClientStreamHandler): void {
    this.#handler = handler;
    if (this.#isClosed) handler.onClose();
  }

  write(chunk: Buffer): boolean {
    if (this.#headStartTimer) {
      this.#early.push(chunk);
      this.#fullAtMs ??= performance.now();
      return false;
    }
    if (this.#closedByClient || this.#wire.sendData(this.#connectId, chunk)) {
      this.#observer.onWritten(0);
      return true;
    }
    this.#fullAtMs ??= performance.now();
    return false;
  }

  end(): void {
    if (this.#headStartTimer) {
      this.#endsEarly = true;
      return;
    }
    this.#finish('');
    this.#deliverEnd();
    this.#close();
  }

  reset(): void {
    this.#finish('the connection was reset');
    this.#close();
  }

  consumed(bytes: number): void {
    this.#heldBytes -= bytes;
    if (this.#heldBytes < highWaterBytes) this.#setHeldUp(false);
  }

  #onDialRequest(random: bigint, address: string): void {
    if (this.#phase !== 'idle') {
      this.#sendFailure(random, new TunnelError('bad_request', 'a call carries one connection'));
      return;
    }
    clearTimeout(this.#timer);
    this.#wire.maxMessageBytes = MAX_MESSAGE_BYTES;
    this.#random = random;
    this.#phase = 'dialing';
    this.#streams.start({
      protocol: 'grpc',
      caller: this.#caller,
      authority: address,
      startedAtMs: performance.now(),
      watch: (onGone) => {
        this.#onGone = onGone;
      },
      accept: (stream, options) => this.#accept(stream, options),
      refuse: (error) => this.#refuse(error),
      undeliveredBytes: () => this.#heldBytes + this.#wire.incompleteBytes,
      wasClosedByClient: () => this.#closedByClient,
    });
  }

  #accept(stream: RelayedStream, options: RelayOptions): void {
    this.#phase = 'open';
    this.#stream = stream;
    lastConnectId += 1n;
    this.#connectId = lastConnectId;
    this.#wire.send({
      type: 'DIAL_RSP',
      random: this.#random,
      connectId: this.#connectId,
      error: '',
    });
    this.#headStartTimer = setTimeout(() => this.#endHeadStart(), clientHeadStartMs);
    joinStreams(this, stream, options);
  }

  #endHeadStart(): void {
    if (!this.#headStartTimer) return;
    clearTimeout(this.#headStartTimer);
    this.#headStartTimer = undefined;
    for (const chunk of this.#early.splice(0)) {
      if (!this.#closedByClient) this.#wire.sendData(this.#connectId, chunk);
    }
    if (this.#endsEarly) this.end();
    else if (this.#wire.hasRoom) this.onDrain();
  }

  #refuse(error: TunnelError): void {
    if (this.#phase === 'closed') return;
    this.#phase = 'closed';
    this.#sendFailure(this.#random, error);
    this.#wire.end();
    this.#onGone = undefined;
    this.#close();
  }

  #sendFailure(random: bigint, error: TunnelError): void {
    this.#wire.send({ type: 'DIAL_RSP', random, connectId: 0n, error: dialErrorText(error) });
  }

  #onData(connectId: bigint, data: Buffer): void {
    if (this.#phase !== 'open') {
      this.#sendClosed(connectId, 'no connection is open');
    } else if (connectId !== this.#connectId) {
      this.#sendClosed(connectId, 'mismatched connection IDs');
      this.#finish('mismatched connection IDs');
      this.#close(new TunnelError('bad_request', 'mismatched connection IDs'));
    } else if (!this.#closedByClient) {
      this.#endHeadStart();
      this.#heldBytes += data.length;
      this.#handler?.onData(data);
      if (this.#heldBytes >= highWaterBytes) this.#setHeldUp(true);
    }
  }

  #onCloseRequest(connectId: bigint): void {
    if (this.#phase === 'open' && connectId === this.#connectId) this.#closeFromClient();
    else this.#sendClosed(connectId, 'unknown connectID');
  }

  #sendClosed(connectId: bigint, error: string): void {
    this.#wire.send({ type: 'CLOSE_RSP', connectId, error });
  }

  /**
   * The client closed. The target still receives what the client sent before, and then the end, for which the client
   * does not wait.
   */
  #closeFromClient(): void {
    if (this.#closedByClient) return;
    this.#closedByClient = true;
    this.#endHeadStart();
    this.onDrain();
    this.#finish('');
    if (this.#isClosed) return;
    this.#deliverEnd();
    this.#linger(Number.POSITIVE_INFINITY);
  }

  /** Ends the stream when no more bytes have left for the target for a while. */
  #linger(pendingBytes: number): void {
    const ms = this.#stream?.halfCloses === false ? hardCloseLingerMs : closeLingerMs;
    this.#timer = setTimeout(() => {
      const left = this.#stream?.pendingBytes ?? 0;
      if (left > 0 && left < pendingBytes) this.#linger(left);
      else this.#close(new TunnelError('client_reset', 'the client closed the connection'));
    }, ms);
  }

  /** The client disconnected, or cancelled its dial. */
  #onClientGone(): void {
    if (this.#closedByClient || this.#isClosed) return;
    const wasOpen = this.#phase === 'open';
    this.#phase = 'closed';
    this.#wire.end();
    this.#close(wasOpen ? new TunnelError('client_reset') : undefined);
  }

  #onSilent(): void {
    this.#phase = 'closed';
    this.#streams.reportRefusal(new TunnelError('request_timeout'), this.#caller);
    this.#wire.end(new GrpcError('DEADLINE_EXCEEDED', 'no DIAL_REQ came before the deadline'));
    this.#close();
  }

  /** Tells the client that its connection has ended, and ends the call. */
  #finish(error: string): void {
    if (this.#phase === 'open') this.#sendClosed(this.#connectId, error);
    this.#phase = 'closed';
    this.#wire.end();
  }

  /** The client sends nothing more: the target gets the end, once. */
  #deliverEnd(): void {
    if (this.#endDelivered) return;
    this.#endDelivered = true;
    this.#handler?.onEnd();
  }

  /** The last step. @param error why the client's side failed */
  #close(error?: TunnelError): void {
    if (this.#isClosed) return;
    this.#setHeldUp(false);
    this.#isClosed = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#headStartTimer);
    this.#headStartTimer = undefined;
    if (this.#handler) this.#handler.onClose(error);
    else this.#onGone?.(error);
  }

  #setHeldUp(isHeldUp: boolean): void {
    if (this.#isHeldUp === isHeldUp || this.#isClosed) return;
    this.#isHeldUp = isHeldUp;
    if (isHeldUp) this.#wire.pause();
    else this.#wire.resume();
    this.#observer.onHeldUp(isHeldUp);
  }
}
