import { noteTick } from '../event-loop/tick-clock.ts';
import { leaseChunk, releaseChunk } from '../flow/chunk-lease.ts';
import { largestOf, MemoryBudget } from '../flow/memory-budget.ts';
import { TunnelWriter } from '../flow/tunnel-writer.ts';
import type { Transport } from '../transports/transport.ts';
import { FrameDecoder, type FrameSink } from '../wire/decode.ts';
import { cleanText, codeFromWire, TunnelError, toTunnelError } from '../wire/errors.ts';
import { isSendable, MAX_STREAM_ID, type Target } from '../wire/frame.ts';
import { agreeOnVersion, type Hello, PROTOCOL_VERSIONS, parseHello } from '../wire/hello.ts';
import { Liveness, type LivenessOptions } from './liveness.ts';
import {
  type OpeningHandler,
  SessionStream,
  type StreamHandler,
  type StreamHost,
  type TunnelStream,
} from './stream.ts';
import { StreamTable } from './stream-table.ts';

/** With fewer IDs left, the session asks to be replaced (spec 3.12). */
const LOW_IDS = 2 ** 20;

/** How long the last bytes of a closed session may take. */
const LINGER_MS = 5_000;

export interface SessionOptions extends LivenessOptions {
  /** Decides the parity of stream IDs, and nothing else (spec 3.1). */
  readonly role: 'server' | 'agent';
  /**
   * HELLO of this side, without `versions`. A function is called when HELLO is sent. It gets the peer's HELLO if that
   * arrived before, as it does with `refusePeer`.
   */
  readonly hello: Hello | ((peer: Hello | undefined) => Hello);
  /** How long the peer's HELLO may take; default 10 s. */
  readonly handshakeTimeoutMs?: number;
  /** Streams that the peer may have open at once. */
  readonly maxStreams?: number;
  /** Default 16 MiB. */
  readonly maxStreamWindowBytes?: number;
  /** Limits the growth of this tunnel's windows; its parent limits what the process holds. */
  readonly memory?: MemoryBudget;
  /** The first ID for a stream of this side, of the role's parity. */
  readonly firstStreamId?: number;
  /**
   * Inspects the peer's first HELLO before this side sends its own (spec 2.9). A returned error is sent as the final
   * GOAWAY and ends the session.
   */
  readonly refusePeer?: (hello: Hello) => TunnelError | undefined;
}

/** The owner of a session. `onClose` is called exactly once, and last. */
export interface SessionHandler {
  /**
   * The peer's HELLO, with all fields known so far. Called at the start and after each change. It has a token only if
   * the token arrived just now: the session does not keep it (spec 2.12).
   */
  onHello(hello: Hello): void;
  /** Called once: the peer has handled this side's HELLO and not refused it (spec 2.13). */
  onAcknowledged?(): void;
  /** The peer opens a stream. The handler calls `stream.attach`, and later `accept` or `refuse`. */
  onOpen(stream: TunnelStream): void;
  /** The peer asks for no new streams (spec 6.2). */
  onDraining(error: TunnelError): void;
  /** The last open stream has closed. */
  onIdle?(): void;
  /** The peer has left a PING unanswered, so that other peers are preferred (spec 7.6), or has sent a byte after that. */
  onSilence?(isSilent: boolean): void;
  /** The tunnel has ended. There is no error if it ended in order. */
  onClose(error?: TunnelError): void;
}

const noHandler: OpeningHandler = { onClose() {} };

/**
 * One end of a tunnel: many streams over one transport (docs/spec.md). Server and agent use the same class. An error of
 * a stream ends the stream, and a violation by the peer ends the session. Neither throws.
 */
export class Session {
  readonly transport: Transport;
  /**
   * Resolves when the transport is closed, some time after `onClose`. An earlier exit loses the last bytes of streams.
   */
  readonly transportClosed: Promise<void>;
  readonly #handler: SessionHandler;
  readonly #options: SessionOptions;
  readonly #streams: StreamTable;
  readonly #writer: TunnelWriter;
  readonly #decoder: FrameDecoder;
  readonly #liveness: Liveness;
  readonly #memory: MemoryBudget;
  readonly #streamHost: StreamHost;
  #removeFinder = () => {};
  #helloTimer: NodeJS.Timeout | undefined;
  #peerHello: Hello | undefined;
  #receivedBytes = 0;
  #isAcknowledged = false;
  #noticeSent = false;
  #isDraining = false;
  #isClosed = false;
  #resolveTransportClosed = () => {};

  constructor(transport: Transport, handler: SessionHandler, options: SessionOptions) {
    this.transport = transport;
    this.transportClosed = new Promise((resolve) => {
      this.#resolveTransportClosed = resolve;
    });
    this.#handler = handler;
    this.#options = options;
    this.#streams = new StreamTable(options.firstStreamId ?? (options.role === 'agent' ? 1 : 2));
    this.#memory = options.memory ?? new MemoryBudget();
    this.#writer = new TunnelWriter(transport, () =>
      this.destroy(new TunnelError('limit_reached', 'the peer does not read what it asked for')),
    );
    this.#decoder = new FrameDecoder(this.#frameSink(), true);
    const { inFlight } = this.#writer;
    this.#streamHost = {
      writer: this.#writer,
      memory: this.#memory,
      maxWindowBytes: options.maxStreamWindowBytes ?? 16 * 1_048_576,
      get minRttMs() {
        return inFlight.minRttMs;
      },
      onClosed: (stream) => this.#onStreamClosed(stream),
    };
    this.#liveness = new Liveness(options, {
      sendPing: () => this.#writer.requestPing(),
      onLost: () => this.destroy(new TunnelError('tunnel_silent')),
      isAwaited: () => this.#streams.hasOpening,
      onUnresponsive: () => this.#streams.resetOpening(new TunnelError('tunnel_silent')),
      onSilence: (isSilent) => this.#handler.onSilence?.(isSilent),
    });
  }

  /**
   * Starts the transport and sends HELLO, unless `refusePeer` is to inspect the peer's first. Call it once. The handler
   * is not called within the call.
   * @throws TunnelError `protocol_error` if HELLO is too long
   */
  start(): this {
    this.#removeFinder = this.#memory.addFinder(() => largestOf(this.#streams.byId.values()));
    this.#liveness.start();
    const helloMs = this.#options.handshakeTimeoutMs ?? 10_000;
    this.#helloTimer = setTimeout(() => {
      this.close(new TunnelError('hello_timeout', `no HELLO within ${helloMs} ms`));
    }, helloMs);
    this.#helloTimer.unref();
    if (!this.#options.refusePeer) this.#sendHello();
    this.transport.start({
      onBytes: (chunk) => this.#onBytes(chunk),
      onClose: (error) => this.#onTransportClose(error),
    });
    return this;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Whether either side asked for no new streams. */
  get isDraining(): boolean {
    return this.#isDraining || this.#noticeSent;
  }

  get streamCount(): number {
    return this.#streams.byId.size;
  }

  /** Whether the session can be closed. If an OPEN crosses the final GOAWAY, the peer uses another tunnel for it. */
  get isIdle(): boolean {
    return this.#streams.byId.size === 0;
  }

  /** The peer's HELLO so far; undefined before the first one. */
  get peerHello(): Hello | undefined {
    return this.#peerHello;
  }

  /** Milliseconds since the latest byte from the peer. */
  get silentMs(): number {
    return this.#liveness.silentMs;
  }

  /** Whether the peer has left a PING unanswered, so that other peers are preferred (spec 7.6). */
  get isSilent(): boolean {
    return this.#liveness.isSilent;
  }

  /** Minimum round trip time of the last 10 s; Infinity before the first. */
  get minRttMs(): number {
    return this.#writer.inFlight.minRttMs;
  }

  get receivedBytes(): number {
    return this.#receivedBytes;
  }

  get sentBytes(): number {
    return this.#writer.sentBytes;
  }

  /**
   * Opens a stream. `handler.onOpened` or `onClose` reports the result.
   * @throws TunnelError `tunnel_lost` on a closed session, `hello_timeout` before HELLO, `bad_target` for a host or
   *   port that OPEN cannot carry, `ids_exhausted`, `limit_reached` if the peer takes no more streams, `memory_limit`
   *   if the process's memory is used up
   */
  open(target: Target, handler: StreamHandler | OpeningHandler): TunnelStream {
    if (this.#isClosed) throw new TunnelError('tunnel_lost');
    if (!this.#peerHello) throw new TunnelError('hello_timeout', 'HELLO has not arrived yet');
    if (!isSendable(target)) throw new TunnelError('bad_target');
    const id = this.#streams.nextOwnId;
    // The highest ID is not used: as the last ID of a GOAWAY, it means a notice.
    if (id >= MAX_STREAM_ID) throw new TunnelError('ids_exhausted');
    if (this.#memory.isFull) throw new TunnelError('memory_limit');
    if (this.#streams.ownCount >= (this.#peerHello.maxStreams ?? Infinity)) {
      throw new TunnelError('limit_reached', 'the peer takes no more streams on this tunnel');
    }
    const stream = new SessionStream(id, target, 'opening', this.#streamHost, handler);
    this.#streams.add(stream);
    this.#writer.control.open(id, target);
    this.#writer.schedule();
    this.#liveness.expectAnswer();
    if (id + 2 > MAX_STREAM_ID - 2 * LOW_IDS) this.drain(new TunnelError('ids_exhausted'));
    return stream;
  }

  /** Sends a PING, unless one is unanswered. If no byte arrives, `isSilent` becomes true after 2 s. */
  ping(): void {
    if (!this.#isClosed) this.#liveness.ping();
  }

  /** Sends the peer new values for fields of HELLO (spec 2.6). */
  updateHello(fields: Hello): void {
    if (this.#isClosed) return;
    this.#writer.control.hello({ versions: PROTOCOL_VERSIONS, ...fields });
    this.#writer.schedule();
  }

  /** Asks the peer for no new streams. Open streams go on (spec 6.2). */
  drain(error: TunnelError): void {
    if (this.#isClosed || this.#noticeSent) return;
    this.#noticeSent = true;
    this.#writer.control.goAway(error, MAX_STREAM_ID);
    this.#writer.schedule();
  }

  /** Sends the reason in a final GOAWAY, ends all streams and then the transport (spec 6.1). */
  close(error?: TunnelError): void {
    if (this.#isClosed) return;
    // If a peer did use the highest ID, it must not take this for a notice.
    const lastId = Math.min(this.#streams.lastPeerId, MAX_STREAM_ID - 1);
    this.#writer.control.goAway(error ?? new TunnelError('shutting_down'), lastId);
    this.#writer.end();
    this.#startLinger();
    this.#finish(error);
  }

  /** Drops the tunnel at once. */
  destroy(error: TunnelError): void {
    if (this.#isClosed) return;
    this.#finish(error);
    this.transport.destroy(error);
  }

  #sendHello(peer?: Hello): void {
    const { hello } = this.#options;
    const own = typeof hello === 'function' ? hello(peer) : hello;
    this.#writer.control.hello({ versions: PROTOCOL_VERSIONS, ...own });
    // With a PING, so that the round trip time is known before the first stream.
    this.#writer.requestPing();
  }

  /** Bounds the wait for a peer that does not read the last bytes. */
  #startLinger(): void {
    setTimeout(() => this.transport.destroy(), LINGER_MS).unref();
  }

  #onBytes(chunk: Buffer): void {
    if (this.#isClosed) return;
    noteTick();
    this.#receivedBytes += chunk.length;
    this.#liveness.onBytes();
    // Other transports deliver parts of what they read.
    if (this.transport.kind === 'tls') leaseChunk(chunk);
    try {
      this.#decoder.push(chunk);
    } catch (error) {
      this.close(toTunnelError(error));
    }
    releaseChunk(chunk);
  }

  #onTransportClose(error?: Error): void {
    this.#resolveTransportClosed();
    if (error) this.#finish(toTunnelError(error, 'tunnel_lost'));
    else this.#finish(this.isIdle ? undefined : new TunnelError('tunnel_lost'));
  }

  #finish(error?: TunnelError): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#writer.close();
    this.#liveness.stop();
    clearTimeout(this.#helloTimer);
    this.#streams.endAll(error ?? new TunnelError('tunnel_lost'));
    this.#removeFinder();
    this.#handler.onClose(error);
  }

  #frameSink(): FrameSink {
    const streams = this.#streams;
    const { byId } = streams;
    return {
      onHello: (json) => this.#onHello(json),
      onOpen: (id, target) => this.#onOpen(id, target),
      onOpened: (id) => streams.find(id)?.onOpened(),
      onOpenFailed: (id, code, text) =>
        streams
          .find(id)
          ?.onOpenFailed(new TunnelError(codeFromWire(code), cleanText(text) || undefined)),
      onData: (id, piece) => (byId.get(id) ?? streams.find(id))?.onData(piece),
      onFin: (id) => streams.find(id)?.onFin(),
      onReset: (id, code) => streams.find(id)?.onReset(new TunnelError(codeFromWire(code))),
      onWindow: (id, increment) => streams.find(id)?.onWindow(increment),
      onPing: (opaque) => this.#writer.answerPing(opaque),
      onPong: (mark, busyUs) => {
        this.#writer.onPong(mark, busyUs / 1000);
        this.#acknowledge();
      },
      onGoAway: (code, lastId, reason) => this.#onGoAway(code, lastId, reason),
    };
  }

  #onHello(json: Buffer): void {
    if (this.#isClosed) return;
    const { token, ...hello } = parseHello(json);
    if (!this.#peerHello) {
      agreeOnVersion(hello.versions);
      clearTimeout(this.#helloTimer);
      const refusal = this.#options.refusePeer?.(hello);
      if (refusal) return this.close(refusal);
      if (this.#options.refusePeer) this.#sendHello(hello);
      this.#peerHello = hello;
    } else {
      const { versions } = this.#peerHello;
      this.#peerHello = { ...this.#peerHello, ...hello, ...(versions && { versions }) };
    }
    this.#handler.onHello({ ...this.#peerHello, ...(token !== undefined && { token }) });
  }

  /** The peer has handled HELLO: it has answered the PING behind it, or opens streams. */
  #acknowledge(): void {
    if (this.#isAcknowledged || this.#isClosed) return;
    this.#isAcknowledged = true;
    this.#handler.onAcknowledged?.();
  }

  #onOpen(id: number, target: Target): void {
    if (this.#isClosed) return;
    const streams = this.#streams;
    if (streams.isOwn(id) || id <= streams.lastPeerId) {
      throw new TunnelError('stream_id_error', `OPEN with stream ID ${id}`);
    }
    this.#acknowledge();
    if (this.#isClosed) return;
    const stream = new SessionStream(id, target, 'offered', this.#streamHost, noHandler);
    streams.add(stream);
    if (streams.peerCount > (this.#options.maxStreams ?? Infinity)) {
      stream.refuse(new TunnelError('limit_reached', 'too many streams on this tunnel'));
    } else if (this.#memory.isFull) {
      stream.refuse(new TunnelError('memory_limit'));
    } else {
      this.#handler.onOpen(stream);
    }
  }

  #onGoAway(code: number, lastId: number, reason: string): void {
    if (this.#isClosed) return;
    const error = new TunnelError(codeFromWire(code), cleanText(reason) || undefined);
    if (lastId === MAX_STREAM_ID) {
      // The decoder refuses all other frames before HELLO.
      if (!this.#peerHello) throw new TunnelError('protocol_error', 'the first frame is not HELLO');
      if (this.#isDraining) return;
      this.#isDraining = true;
      return this.#handler.onDraining(error);
    }
    this.#isDraining = true;
    this.#streams.endUnprocessed(lastId, error);
    this.transport.end();
    this.#startLinger();
    this.#finish(error.code === 'shutting_down' && this.isIdle ? undefined : error);
  }

  #onStreamClosed(stream: SessionStream): void {
    this.#streams.delete(stream);
    if (this.isIdle && !this.#isClosed) this.#handler.onIdle?.();
  }
}
