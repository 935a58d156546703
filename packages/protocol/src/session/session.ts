import { noteTurn } from '../event-loop/tick-clock.ts';
import { leaseChunk, releaseChunk } from '../flow/chunk-lease.ts';
import { MemoryBudget } from '../flow/memory-budget.ts';
import { TunnelWriter } from '../flow/tunnel-writer.ts';
import type { Transport } from '../transports/transport.ts';
import { FrameDecoder, type FrameSink } from '../wire/decode.ts';
import { cleanText, codeFromWire, TunnelError, toTunnelError } from '../wire/errors.ts';
import { isSendable, MAX_STREAM_ID, type Target } from '../wire/frame.ts';
import { agreeOnVersion, type Hello, PROTOCOL_VERSIONS, parseHello } from '../wire/hello.ts';
import { Liveness } from './liveness.ts';
import {
  type OpeningHandler,
  SessionStream,
  type StreamHandler,
  type StreamHost,
  type TunnelStream,
} from './stream.ts';

/** With fewer IDs left, the tunnel asks to be replaced (spec 3.12). */
const LOW_IDS = 2 ** 20;

/** How long the last bytes of a closed session may take. */
const LINGER_MS = 5_000;

export interface SessionOptions {
  /** Decides the parity of stream IDs, and nothing else (spec 3.1). */
  readonly role: 'server' | 'agent';
  /**
   * What this side says of itself; `versions` is filled in. A function is asked when HELLO leaves, and
   * gets the peer's if that came before (see `refusePeer`).
   */
  readonly hello: Hello | ((peer: Hello | undefined) => Hello);
  readonly handshakeTimeoutMs?: number;
  readonly pingIntervalMs?: number;
  readonly pingTimeoutMs?: number;
  /** Streams that the peer may have open at once. */
  readonly maxStreams?: number;
  readonly maxStreamWindowBytes?: number;
  /** Room for this tunnel's windows to grow, below the process's. */
  readonly memory?: MemoryBudget;
  /** The first ID this side gives to a stream, of the role's parity. */
  readonly firstStreamId?: number;
  /**
   * Looks at the peer's first HELLO before this side sends its own (spec 2.9); a returned error is the
   * final GOAWAY and ends the session.
   */
  readonly refusePeer?: (hello: Hello) => TunnelError | undefined;
}

/** What a session tells its owner. `onClose` comes exactly once, and last. */
export interface SessionHandler {
  /**
   * The peer's HELLO, with all fields known so far; at the start and whenever it changes. A token is in it
   * only if it came just now: nothing keeps it (spec 2.12).
   */
  onHello(hello: Hello): void;
  /** Once: the peer has handled this side's HELLO, and not refused it (spec 2.13). */
  onAcknowledged?(): void;
  /**
   * The peer opens a stream. The handler sets `stream.handler`, and later calls `accept` or `refuse`.
   */
  onOpen(stream: TunnelStream): void;
  /** The peer asks for no new streams (spec 6.2). */
  onDraining(error: TunnelError): void;
  /** The last open stream has closed. */
  onIdle?(): void;
  /** The peer leaves a PING unanswered and should not be relied on (spec 7.6), or was heard again. */
  onSilence?(isSilent: boolean): void;
  /** The tunnel is gone, without an error after an orderly end. */
  onClose(error?: TunnelError): void;
}

const noHandler: OpeningHandler = { onClose() {} };

/**
 * One end of a tunnel: many streams over one transport (docs/spec.md). Server and agent use the same
 * class. A stream's error ends the stream, a violation by the peer ends the session, neither throws.
 */
export class Session {
  readonly transport: Transport;
  /**
   * Resolves when the transport is closed, some time after `onClose`: what was sent has left, or never
   * will. A process that exits earlier takes a stream's last bytes with it.
   */
  readonly transportClosed: Promise<void>;
  readonly #handler: SessionHandler;
  readonly #options: SessionOptions;
  readonly #streams = new Map<number, SessionStream>();
  readonly #writer: TunnelWriter;
  readonly #decoder: FrameDecoder;
  readonly #liveness: Liveness;
  readonly #memory: MemoryBudget;
  readonly #streamHost: StreamHost;
  readonly #forgetFinder: () => void;
  #helloTimer: NodeJS.Timeout | undefined;
  #peerHello: Hello | undefined;
  #nextId: number;
  /** The highest ID that the peer has opened. */
  #peerLastId = 0;
  #openedByPeer = 0;
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
    this.#nextId = options.firstStreamId ?? (options.role === 'agent' ? 1 : 2);
    this.#memory = options.memory ?? new MemoryBudget(64 * 1_048_576);
    this.#forgetFinder = this.#memory.addFinder(() => this.#largestStream());
    this.#writer = new TunnelWriter(transport, () =>
      this.destroy(new TunnelError('limit_reached', 'the peer does not read what it asked for')),
    );
    this.#decoder = new FrameDecoder(this.#frameSink(), true);
    this.#streamHost = this.#makeStreamHost();
    this.#liveness = new Liveness(
      {
        pingIntervalMs: options.pingIntervalMs ?? 10_000,
        pingTimeoutMs: options.pingTimeoutMs ?? 20_000,
      },
      {
        sendPing: () => this.#writer.requestPing(),
        onLost: () => this.destroy(new TunnelError('tunnel_silent')),
        isAwaited: () => this.#someOpening(),
        onUnresponsive: () => this.#resetOpening(),
        onSilence: (isSilent) => this.#handler.onSilence?.(isSilent),
      },
    );
    const helloMs = options.handshakeTimeoutMs ?? 10_000;
    this.#helloTimer = setTimeout(() => {
      this.close(new TunnelError('hello_timeout', `no HELLO within ${helloMs} ms`));
    }, helloMs);
    this.#helloTimer.unref();
    if (!options.refusePeer) this.#introduce();
    transport.start({
      onBytes: (chunk) => this.#onBytes(chunk),
      onClose: (error) => this.#onTransportClose(error),
    });
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Whether either side asked for no new streams. */
  get isDraining(): boolean {
    return this.#isDraining || this.#noticeSent;
  }

  get streamCount(): number {
    return this.#streams.size;
  }

  /** No stream is open. One that crosses the end of the session is refused so that the peer opens it elsewhere. */
  get isIdle(): boolean {
    return this.#streams.size === 0;
  }

  /** The peer's HELLO so far; undefined before the first one. */
  get peerHello(): Hello | undefined {
    return this.#peerHello;
  }

  /** Milliseconds since the last byte from the peer. */
  get silentMs(): number {
    return this.#liveness.silentMs;
  }

  /** Whether the peer leaves a PING unanswered and should not be relied on (spec 7.6). */
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
   * Opens a stream; `handler.onOpened` or `onClose` tells how it went.
   * @throws TunnelError `tunnel_lost` on a closed session, `ids_exhausted`, `limit_reached` when the peer
   *   takes no more, `hello_timeout` before HELLO, `memory_limit` when the process's memory is used up,
   *   `bad_target` for a host or port that OPEN cannot carry
   */
  open(target: Target, handler: StreamHandler | OpeningHandler): TunnelStream {
    if (this.#isClosed) throw new TunnelError('tunnel_lost');
    if (!this.#peerHello) throw new TunnelError('hello_timeout', 'HELLO has not arrived yet');
    if (!isSendable(target)) throw new TunnelError('bad_target');
    // The highest ID is left out: as the last ID of a GOAWAY it would read as a notice.
    if (this.#nextId >= MAX_STREAM_ID) throw new TunnelError('ids_exhausted');
    if (this.#memory.isFull) throw new TunnelError('memory_limit');
    const own = this.#streams.size - this.#openedByPeer;
    if (own >= (this.#peerHello.maxStreams ?? Infinity)) {
      throw new TunnelError('limit_reached', 'the peer takes no more streams on this tunnel');
    }
    const id = this.#nextId;
    this.#nextId += 2;
    const stream = new SessionStream(id, target, 'opening', this.#streamHost, handler);
    this.#streams.set(id, stream);
    this.#writer.control.open(id, target);
    this.#writer.schedule();
    this.#liveness.expectAnswer();
    if (this.#nextId > MAX_STREAM_ID - 2 * LOW_IDS) this.drain(new TunnelError('ids_exhausted'));
    return stream;
  }

  /** Asks the peer for a sign of life; if there is none, `isSilent` says so 2 s later. */
  askForLife(): void {
    if (!this.#isClosed) this.#liveness.ask();
  }

  /** Tells the peer new values for fields of HELLO (spec 2.6). */
  updateHello(fields: Hello): void {
    if (this.#isClosed) return;
    this.#writer.control.hello({ versions: PROTOCOL_VERSIONS, ...fields });
    this.#writer.schedule();
  }

  /** Asks the peer for no new streams; open ones go on (spec 6.2). */
  drain(error: TunnelError): void {
    if (this.#isClosed || this.#noticeSent) return;
    this.#noticeSent = true;
    this.#writer.control.goAway(error, MAX_STREAM_ID);
    this.#writer.schedule();
  }

  /** Says why with a final GOAWAY, ends all streams and then the transport (spec 6.1). */
  close(error?: TunnelError): void {
    if (this.#isClosed) return;
    // A peer that did use the highest ID must not take this for a notice.
    const lastId = Math.min(this.#peerLastId, MAX_STREAM_ID - 1);
    this.#writer.control.goAway(error ?? new TunnelError('shutting_down'), lastId);
    this.#writer.end();
    this.#lingerTimer();
    this.#finish(error);
  }

  /** Drops the tunnel at once. */
  destroy(error: TunnelError): void {
    if (this.#isClosed) return;
    this.#finish(error);
    this.transport.destroy(error);
  }

  #introduce(peer?: Hello): void {
    const { hello } = this.#options;
    const own = typeof hello === 'function' ? hello(peer) : hello;
    this.#writer.control.hello({ versions: PROTOCOL_VERSIONS, ...own });
    // A PING at once, so that the round trip time is known before the first stream.
    this.#writer.requestPing();
  }

  /** A peer that does not take the last bytes is not waited for. */
  #lingerTimer(): void {
    setTimeout(() => this.transport.destroy(), LINGER_MS).unref();
  }

  #onBytes(chunk: Buffer): void {
    if (this.#isClosed) return;
    noteTurn();
    this.#receivedBytes += chunk.length;
    this.#liveness.onBytes();
    // Others hand out parts of what they read.
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
    else this.#finish(this.#streams.size > 0 ? new TunnelError('tunnel_lost') : undefined);
  }

  #finish(error?: TunnelError): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#writer.close();
    this.#liveness.stop();
    clearTimeout(this.#helloTimer);
    const reason = error ?? new TunnelError('tunnel_lost');
    for (const stream of [...this.#streams.values()]) stream.onReset(reason);
    this.#forgetFinder();
    this.#handler.onClose(error);
  }

  #frameSink(): FrameSink {
    return {
      onHello: (json) => this.#onHello(json),
      onOpen: (id, target) => this.#onOpen(id, target),
      onOpened: (id) => this.#streamFor(id)?.onOpened(),
      onOpenFailed: (id, code, text) =>
        this.#streamFor(id)?.onOpenFailed(
          new TunnelError(codeFromWire(code), cleanText(text) || undefined),
        ),
      onData: (id, piece) => (this.#streams.get(id) ?? this.#streamFor(id))?.onData(piece),
      onFin: (id) => this.#streamFor(id)?.onFin(),
      onReset: (id, code) => this.#streamFor(id)?.onReset(new TunnelError(codeFromWire(code))),
      onWindow: (id, increment) => this.#streamFor(id)?.onWindow(increment),
      onPing: (opaque) => {
        this.#requireHello();
        this.#writer.answerPing(opaque);
      },
      onPong: (mark, turnUs) => {
        this.#requireHello();
        this.#writer.onPong(mark, turnUs / 1000);
        this.#acknowledge();
      },
      onGoAway: (code, lastId, reason) => this.#onGoAway(code, lastId, reason),
    };
  }

  #makeStreamHost(): StreamHost {
    const session = this;
    const { control } = this.#writer;
    return {
      maxWindowBytes: this.#options.maxStreamWindowBytes ?? 16 * 1_048_576,
      memory: this.#memory,
      get minRttMs() {
        return session.minRttMs;
      },
      sendOpened: (id) => {
        control.opened(id);
        this.#writer.schedule();
      },
      sendOpenFailed: (id, error) => {
        control.openFailed(id, error);
        this.#writer.schedule();
      },
      sendReset: (id, error) => {
        control.reset(id, error);
        this.#writer.schedule();
      },
      sendWindow: (id, increment) => {
        control.window(id, increment);
        this.#writer.schedule();
      },
      onReady: (stream) => {
        this.#writer.turns.add(stream);
        this.#writer.schedule();
      },
      onClosed: (stream) => this.#onStreamClosed(stream),
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
      if (this.#options.refusePeer) this.#introduce(hello);
      this.#peerHello = hello;
    } else {
      const { versions } = this.#peerHello;
      this.#peerHello = { ...this.#peerHello, ...hello, ...(versions && { versions }) };
    }
    this.#handler.onHello({ ...this.#peerHello, ...(token !== undefined && { token }) });
  }

  /** The peer has handled HELLO: it answered the PING behind it, or sends streams. */
  #acknowledge(): void {
    if (this.#isAcknowledged || this.#isClosed) return;
    this.#isAcknowledged = true;
    this.#handler.onAcknowledged?.();
  }

  #onOpen(id: number, target: Target): void {
    if (this.#isClosed) return;
    this.#requireHello();
    if (this.#isOwn(id) || id <= this.#peerLastId) {
      throw new TunnelError('stream_id_error', `OPEN with stream ID ${id}`);
    }
    this.#peerLastId = id;
    this.#acknowledge();
    const stream = new SessionStream(id, target, 'offered', this.#streamHost, noHandler);
    this.#streams.set(id, stream);
    this.#openedByPeer++;
    if (this.#openedByPeer > (this.#options.maxStreams ?? Infinity)) {
      stream.refuse(new TunnelError('limit_reached', 'too many streams on this tunnel'));
    } else if (this.#memory.isFull) {
      stream.refuse(new TunnelError('memory_limit'));
    } else {
      this.#handler.onOpen(stream);
    }
  }

  #onGoAway(code: number, lastId: number, reason: string): void {
    if (this.#isClosed) return;
    const isNotice = lastId === MAX_STREAM_ID;
    if (isNotice) {
      this.#requireHello();
      if (this.#isDraining) return;
    }
    const error = new TunnelError(codeFromWire(code), cleanText(reason) || undefined);
    if (isNotice) {
      this.#isDraining = true;
      return this.#handler.onDraining(error);
    }
    this.#isDraining = true;
    this.#resetUnprocessed(lastId, error);
    this.transport.end();
    this.#lingerTimer();
    this.#finish(error.code === 'shutting_down' && this.#streams.size === 0 ? undefined : error);
  }

  /** Our streams that the peer never looked at may be tried elsewhere, whatever ended the session. */
  #resetUnprocessed(lastId: number, error: TunnelError): void {
    if (error.retryElsewhere) return;
    for (const stream of [...this.#streams.values()]) {
      if (this.#isOwn(stream.id) && stream.id > lastId) {
        stream.onReset(new TunnelError('tunnel_lost', error.message, { cause: error }));
      }
    }
  }

  /**
   * The stream of a frame; undefined for a straggler (spec 3.8).
   * @throws TunnelError `stream_id_error` for a stream that was never opened (spec 3.9),
   *   `protocol_error` before HELLO (spec 2.2)
   */
  #streamFor(id: number): SessionStream | undefined {
    const stream = this.#streams.get(id);
    if (stream) return stream;
    this.#requireHello();
    if (this.#isOwn(id) ? id >= this.#nextId : id > this.#peerLastId) {
      throw new TunnelError('stream_id_error', `a frame for stream ${id}, which was never opened`);
    }
    return undefined;
  }

  #requireHello(): void {
    if (!this.#peerHello) throw new TunnelError('protocol_error', 'the first frame is not HELLO');
  }

  #isOwn(id: number): boolean {
    return (id & 1) === (this.#nextId & 1);
  }

  #onStreamClosed(stream: SessionStream): void {
    this.#streams.delete(stream.id);
    if (!this.#isOwn(stream.id)) this.#openedByPeer--;
    if (this.#streams.size === 0 && !this.#isClosed) this.#handler.onIdle?.();
  }

  #largestStream(): SessionStream | undefined {
    let largest: SessionStream | undefined;
    for (const stream of this.#streams.values()) {
      if (stream.heldBytes > (largest?.heldBytes ?? 0)) largest = stream;
    }
    return largest;
  }

  #someOpening(): boolean {
    for (const stream of this.#streams.values()) if (stream.isOpening) return true;
    return false;
  }

  #resetOpening(): void {
    for (const stream of [...this.#streams.values()]) {
      if (stream.isOpening) stream.reset(new TunnelError('tunnel_silent'));
    }
  }
}
