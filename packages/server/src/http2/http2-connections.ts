import {
  constants,
  createServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
  type ServerOptions,
} from 'node:http2';
import type { Socket } from 'node:net';
import type { MemoryBudget } from '@fairlead/protocol';
import { EagerSocket } from './eager-socket.ts';

export interface Http2Options {
  /** From the start of the connection to its first request. */
  readonly headTimeoutMs: number;
  /** How long a connection may have no request open after its first; without it, for ever. */
  readonly idleTimeoutMs?: number;
  /** Request headers, as HTTP/2 counts them: 32 bytes more per header than their text. */
  readonly maxHeadBytes: number;
  /** What one stream may send ahead of its reader, who may stall; default 1 MiB. */
  readonly streamWindowBytes?: number;
  /** Per connection; default 10,000. */
  readonly maxConcurrentStreams?: number;
  /** Counts what connections hold because their peers do not read. */
  readonly memory?: MemoryBudget;
}

/** Who serves the requests of a connection. */
export interface Http2Handler {
  /** @param rawHeaders names and values in turns, as they came */
  onRequest(
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    rawHeaders: readonly string[],
  ): void;
  /** No request came in time; the connection is closed. */
  onSilent(): void;
  /** Whether every request is refused, so that there is little to read for the client. */
  readonly isStranger?: boolean;
}

/** Enough for 80 Mbit/s to a client 100 ms away; most are on the same machine. */
const defaultStreamWindowBytes = 1024 * 1024;
const defaultMaxConcurrentStreams = 10_000;

/** For all streams of a connection together; a stalled stream does not eat from it. */
const connectionWindowBytes = 16 * 1024 * 1024;

/** In MB. Node's default of 10 is used up by about a thousand streams. */
const maxSessionMemory = 256;

/** How long a connection that is wound up may take. */
const windUpMs = 2_000;

/**
 * Resets that one connection may see; a few less than the 1,000 after which nghttp2 cuts it off. Newer Nodes can be
 * told to allow more, but then a flood of resets holds up all others.
 */
const maxResets = 800;

/**
 * Owns HTTP/2 connections: one `node:http2` server that never listens, for TLS sockets with ALPN
 * `h2` and plain ones alike. It knows no requests, those are the handler's.
 *
 * A client that resets its streams as a matter of course gets GOAWAY(NO_ERROR) in time: it opens a
 * new connection, and its open streams go on (RFC 9113 section 6.8).
 */
export class Http2Connections {
  readonly #options: Http2Options;
  readonly #server: Http2Server;
  readonly #sockets = new Set<EagerSocket>();
  readonly #socketOf = new WeakMap<ServerHttp2Session, EagerSocket>();
  /** Handed from `take` to the 'session' event, which comes within the same call. */
  #arrived: ServerHttp2Session | undefined;

  constructor(options: Http2Options) {
    this.#options = options;
    const serverOptions: ServerOptions = {
      maxSessionMemory,
      settings: {
        enablePush: false,
        initialWindowSize: options.streamWindowBytes ?? defaultStreamWindowBytes,
        maxConcurrentStreams: options.maxConcurrentStreams ?? defaultMaxConcurrentStreams,
        maxHeaderListSize: options.maxHeadBytes,
      },
    };
    this.#server = createServer(serverOptions);
    this.#server.on('session', (session) => {
      this.#arrived = session;
    });
    options.memory?.addFinder(() => this.#largestSocket());
  }

  /**
   * Takes a connection; bytes that were read before must be back in the socket. One without a request is
   * closed at the deadline, whatever else it sends: SETTINGS, PINGs, half a block of headers.
   * `close()` of what is returned drains it: GOAWAY, and open streams go on.
   */
  take(socket: Socket, handler: Http2Handler): ServerHttp2Session {
    // node:http2 leaves the peer's end to the socket: half-open, the session would outlive a peer that
    // has gone. Half-close is a matter of HTTP/2's streams.
    socket.allowHalfOpen = false;
    const eager = new EagerSocket(socket, this.#options.memory);
    this.#sockets.add(eager);
    eager.once('close', () => this.#sockets.delete(eager));
    this.#server.emit('connection', eager);
    const session = this.#arrived!;
    this.#arrived = undefined;
    this.#socketOf.set(session, eager);
    session.setLocalWindowSize(connectionWindowBytes);

    const { headTimeoutMs, idleTimeoutMs } = this.#options;
    const onSilent = () => {
      handler.onSilent();
      this.windUp(session);
    };
    let deadline = setTimeout(onSilent, headTimeoutMs);
    session.once('close', () => clearTimeout(deadline));

    let resets = 0;
    let open = 0;
    const onStream = (
      stream: ServerHttp2Stream,
      headers: IncomingHttpHeaders,
      _flags: number,
      rawHeaders: readonly string[],
    ) => {
      clearTimeout(deadline);
      if (!handler.isStranger) eager.admit();
      open += 1;
      stream.on('error', ignore);
      closeWhenReset(stream);
      stream.once('close', () => {
        open -= 1;
        if (!endedInOrder(stream)) {
          resets += 1;
          if (resets === maxResets) session.close();
        }
        if (idleTimeoutMs !== undefined && open === 0 && !session.destroyed) {
          deadline = setTimeout(onSilent, idleTimeoutMs);
        }
      });
      handler.onRequest(stream, headers, rawHeaders);
    };
    session.on('stream', onStream);
    return session;
  }

  /**
   * Ends a connection for good: GOAWAY, so that a client may try again what it was about to ask; streams that
   * are open have some time to end, and then the socket is closed, whether or not the peer closes it.
   */
  windUp(session: ServerHttp2Session): void {
    const socket = this.#socketOf.get(session);
    if (!socket || socket.destroyed) return;
    const timer = setTimeout(() => socket.destroy(), windUpMs);
    socket.once('close', () => clearTimeout(timer));
    if (!session.destroyed) session.close();
  }

  #largestSocket(): EagerSocket | undefined {
    let largest: EagerSocket | undefined;
    for (const socket of this.#sockets) {
      if (socket.heldBytes > (largest?.heldBytes ?? 0)) largest = socket;
    }
    return largest;
  }
}

/**
 * After a reset with NO_ERROR node waits for what was written to be read, by a peer that has said that it reads no
 * more: without this the stream would stay for as long as its connection.
 */
function closeWhenReset(stream: ServerHttp2Stream): void {
  const close = () => stream.destroy(new Error('the client has reset the stream'));
  stream.once('aborted', () => {
    if (stream.rstCode === constants.NGHTTP2_NO_ERROR) close();
  });
  // Of one that has ended on our side there is no 'aborted'.
  stream.once('end', () => {
    if (stream.closed && stream.writableLength > 0) close();
  });
}

/**
 * Node does not tell a reset by the client from one of ours, so that all count. Those that arrive
 * for a stream which had ended in order are no more seen than they are sent by sane clients.
 */
function endedInOrder(stream: ServerHttp2Stream): boolean {
  return stream.rstCode === constants.NGHTTP2_NO_ERROR && stream.readableEnded && !stream.aborted;
}

// What ends a stream or a session early also closes it, and 'close' is what everybody waits for.
function ignore(): void {}
