import { Duplex } from 'node:stream';
import {
  dialErrorText,
  GrpcError,
  MAX_MESSAGE_BYTES,
  type Packet,
  type PacketStream,
  type PacketStreamHandler,
} from '@fairlead/konnectivity';
import { TunnelError, type TunnelStream } from '@fairlead/protocol';
import type { Caller } from './caller.ts';
import type { GrpcObserver } from './front-end-options.ts';
import type { ProxiedStreams } from './proxied-streams.ts';

type Phase = 'idle' | 'dialing' | 'open' | 'closed';

/**
 * How long a stream may go on after the client has closed, with nothing to send any more: the target gets
 * the end and time to end its side too; what it sends is thrown away.
 */
const closeLingerMs = 5_000;
/** Where the end does not reach the target: just time to take what was sent. */
const hardCloseLingerMs = 250;

/**
 * konnectivity-client drops bytes that come right behind DIAL_RSP, before its dialer has woken up. A target
 * that speaks first is held back for so long, or until bytes of the client show that it is there.
 */
const clientHeadStartMs = 25;

/** DIAL_REQ is all that may come before there is a connection, and no target is longer than a name. */
const maxDialBytes = 4 * 1024;

let lastConnectId = 0n;

/**
 * One call of `ProxyService/Proxy`, which carries one connection: the packets of its dial, and then the
 * connection's bytes as a Duplex for the relay.
 *
 * The wire knows no half-close. A client that closes has no use for what the target still sends; a target
 * that ends its side ends the connection.
 */
export class ProxyCall extends Duplex implements PacketStreamHandler {
  readonly #wire: PacketStream;
  readonly #caller: Caller;
  readonly #streams: ProxiedStreams;
  readonly #observer: GrpcObserver;
  #phase: Phase = 'idle';
  #random = 0n;
  #connectId = 0n;
  /** The client has closed: the bytes from the target go nowhere. */
  #closedByClient = false;
  #isHeldUp = false;
  #stream: TunnelStream | undefined;
  #onRoom: (() => void) | undefined;
  /** Runs while the target is held back, with what it wants done. */
  #headStartTimer: NodeJS.Timeout | undefined;
  #afterHeadStart: (() => void) | undefined;
  /** Until the dial comes, and after the client has closed. */
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
        // What only servers send.
        break;
    }
  }

  onDrain(): void {
    const onRoom = this.#onRoom;
    this.#onRoom = undefined;
    onRoom?.();
  }

  /** The client sends no more packets, so that it cannot close any more but by this. */
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

  #accept(stream: TunnelStream): void {
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
   * The client closed: what it sent before still reaches the target, and then the end does. That may take
   * its time, and the client need not wait for it.
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

  /** Ends the connection after a while in which nothing more left for the target. */
  #linger(pendingBytes: number): void {
    const ms = this.#stream?.halfCloses === false ? hardCloseLingerMs : closeLingerMs;
    this.#timer = setTimeout(() => {
      const left = this.#stream?.pendingBytes ?? 0;
      if (left > 0 && left < pendingBytes) this.#linger(left);
      else this.destroy(new TunnelError('client_reset', 'the client closed the connection'));
    }, ms);
  }

  /** Without a word, or with the word that it no longer wants its dial. */
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
    this.#wire.end(new GrpcError('DEADLINE_EXCEEDED', 'no DIAL_REQ came in time'));
    this.destroy();
  }

  /** Tells the client that its connection is over, and ends the call. */
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
