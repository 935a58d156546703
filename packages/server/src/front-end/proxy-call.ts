import { Duplex } from 'node:stream';
import {
  dialErrorText,
  GrpcError,
  MAX_MESSAGE_BYTES,
  type Packet,
  type PacketStream,
  type PacketStreamHandler,
} from '@fairlead/konnectivity';
import { type RelayedStream, TunnelError } from '@fairlead/protocol';
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

/** Before a connection exists only DIAL_REQ may come, and its longest part is a name. */
const maxDialBytes = 4 * 1024;

let lastConnectId = 0n;

/**
 * One call of `ProxyService/Proxy`, which carries one stream: the packets of its dial, and then the
 * stream's bytes as a Duplex for the relay.
 *
 * Konnectivity has no half-close. When the client closes, bytes that the target still sends are discarded. When the
 * target ends its side, the connection ends.
 */
export class ProxyCall extends Duplex implements PacketStreamHandler {
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
  #onRoom: (() => void) | undefined;
  /** Runs while the target's bytes wait; `#afterHeadStart` is the write that waits. */
  #headStartTimer: NodeJS.Timeout | undefined;
  #afterHeadStart: (() => void) | undefined;
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
    super({ allowHalfOpen: true });
    this.#wire = wire;
    this.#caller = caller;
    this.#streams = streams;
    this.#observer = observer;
    wire.maxMessageBytes = maxDialBytes;
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
    const onRoom = this.#onRoom;
    this.#onRoom = undefined;
    onRoom?.();
  }

  /** The client sends no more packets, not even CLOSE_REQ, so this closes the connection. */
  onEnd(): void {
    if (this.#phase === 'open') this.#closeFromClient();
    else this.#onClientGone();
  }

  onClose(): void {
    this.onDrain();
    this.#onClientGone();
  }

  override _read(): void {
    this.#setHeldUp(false);
  }

  override _write(chunk: Buffer, encoding: BufferEncoding, callback: () => void): void {
    if (this.#headStartTimer) {
      this.#afterHeadStart = () => this._write(chunk, encoding, callback);
      return;
    }
    if (this.#closedByClient || this.#wire.sendData(this.#connectId, chunk)) {
      callback();
      this.#observer.onWritten(0);
      return;
    }
    const startedAtMs = performance.now();
    this.#onRoom = () => {
      this.#observer.onWritten(performance.now() - startedAtMs);
      callback();
    };
  }

  override _final(callback: () => void): void {
    if (this.#headStartTimer) {
      this.#afterHeadStart = () => this._final(callback);
      return;
    }
    this.#finish('');
    this.push(null);
    callback();
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    clearTimeout(this.#timer);
    clearTimeout(this.#headStartTimer);
    this.#setHeldUp(false);
    this.#finish('the connection was reset');
    callback(error);
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
      duplex: this,
      startedAtMs: performance.now(),
      accept: (stream) => this.#accept(stream),
      refuse: (error) => this.#refuse(error),
      undeliveredBytes: () => this.readableLength + this.#wire.undeliveredBytes,
      wasClosedByClient: () => this.#closedByClient,
    });
  }

  #accept(stream: RelayedStream): void {
    if (this.#phase !== 'dialing') return;
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
  }

  #endHeadStart(): void {
    if (!this.#headStartTimer) return;
    clearTimeout(this.#headStartTimer);
    this.#headStartTimer = undefined;
    const act = this.#afterHeadStart;
    this.#afterHeadStart = undefined;
    act?.();
  }

  #refuse(error: TunnelError): void {
    if (this.#phase === 'closed') return;
    this.#phase = 'closed';
    this.#sendFailure(this.#random, error);
    this.#wire.end();
    this.destroy();
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
      this.destroy(new TunnelError('bad_request', 'mismatched connection IDs'));
    } else if (!this.#closedByClient) {
      this.#endHeadStart();
      if (!this.push(data)) this.#setHeldUp(true);
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
    this.push(null);
    this.#linger(Number.POSITIVE_INFINITY);
  }

  /** Ends the stream when no more bytes have left for the target for a while. */
  #linger(pendingBytes: number): void {
    const ms = this.#stream?.halfCloses === false ? hardCloseLingerMs : closeLingerMs;
    this.#timer = setTimeout(() => {
      const left = this.#stream?.pendingBytes ?? 0;
      if (left > 0 && left < pendingBytes) this.#linger(left);
      else this.destroy(new TunnelError('client_reset', 'the client closed the connection'));
    }, ms);
  }

  /** The client disconnected, or cancelled its dial. */
  #onClientGone(): void {
    if (this.#closedByClient || this.writableFinished) return;
    const wasOpen = this.#phase === 'open';
    this.#phase = 'closed';
    this.#wire.end();
    this.destroy(wasOpen ? new TunnelError('client_reset') : undefined);
  }

  #onSilent(): void {
    this.#phase = 'closed';
    this.#streams.reportRefusal(new TunnelError('request_timeout'), this.#caller);
    this.#wire.end(new GrpcError('DEADLINE_EXCEEDED', 'no DIAL_REQ came before the deadline'));
    this.destroy();
  }

  /** Tells the client that its connection has ended, and ends the call. */
  #finish(error: string): void {
    if (this.#phase === 'open') this.#sendClosed(this.#connectId, error);
    this.#phase = 'closed';
    this.#wire.end();
  }

  #setHeldUp(isHeldUp: boolean): void {
    if (this.#isHeldUp === isHeldUp) return;
    this.#isHeldUp = isHeldUp;
    if (isHeldUp) this.#wire.pause();
    else this.#wire.resume();
    this.#observer.onHeldUp(isHeldUp);
  }
}
