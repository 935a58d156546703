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
import { largestOf, type MemoryBudget } from '@fairlead/protocol';
import { EagerSocket } from './eager-socket.ts';

export interface Http2Options {
  /** From the start of the connection to its first request. */
  readonly headTimeoutMs: number;
  /** How long a connection may have no open request after its first one; undefined: forever. */
  readonly idleTimeoutMs?: number;
  /** Request headers, as HTTP/2 counts them: their text and 32 bytes for each. */
  readonly maxHeadBytes: number;
  /** How far one stream may send ahead of its reader, which may stall; default 1 MiB. */
  readonly streamWindowBytes?: number;
  /** Per connection; default 10,000. */
  readonly maxConcurrentStreams?: number;
  /** Counts the bytes that connections hold because their peers do not read. */
  readonly memory?: MemoryBudget | undefined;
}

/** Serves the requests of one connection. */
export interface Http2Handler {
  /** @param rawHeaders names and values alternating, as received */
  onRequest(
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    rawHeaders: readonly string[],
  ): void;
  /** No request came before the deadline; the connection is closed. */
  onSilent(): void;
  /** Whether every request is refused, so that the peer has little to read. */
  readonly refusesAll?: boolean;
}

/** Enough for 80 Mbit/s to a client 100 ms away; most are on the same machine. */
const defaultStreamWindowBytes = 1024 * 1024;
const defaultMaxConcurrentStreams = 10_000;

/** For all streams of a connection together; a stalled stream does not use it up. */
const connectionWindowBytes = 16 * 1024 * 1024;

/** In MB. About a thousand streams use up Node's default of 10. */
const maxSessionMemory = 256;

/** How long open streams may go on after `closeSoon()`. */
const closeSoonMs = 2_000;

/**
 * Resets on one connection after which it gets GOAWAY: fewer than the 1,000 after which nghttp2 closes it. Newer
 * versions of Node can allow more, but then a flood of resets delays all other connections.
 */
const maxResets = 800;

/**
 * HTTP/2 connections over TLS sockets with ALPN `h2` and over plain sockets, on one `node:http2` server that never
 * listens.
 *
 * A client that routinely resets its streams gets GOAWAY(NO_ERROR) before nghttp2 would close its connection: it opens
 * a new one, and its open streams go on (RFC 9113 section 6.8).
 */
export class Http2Connections {
  /** Those that are open. `close()` drains one: it sends GOAWAY, and open streams go on. */
  readonly sessions = new Set<ServerHttp2Session>();
  readonly #options: Http2Options;
  readonly #server: Http2Server;
  readonly #sockets = new Set<EagerSocket>();
  readonly #socketOf = new WeakMap<ServerHttp2Session, EagerSocket>();
  /** Passed from the 'session' event to `take`, within whose call the event comes. */
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
    options.memory?.addFinder(() => largestOf(this.#sockets));
  }

  /**
   * Takes a connection; bytes that were read from it must have been put back. A connection without a request is
   * closed at the deadline, whatever else it sends: SETTINGS, PINGs, half a block of headers.
   */
  take(socket: Socket, handler: Http2Handler): void {
    // node:http2 leaves the peer's end to the socket: with a half-open socket the session would outlive a peer that
    // has gone. HTTP/2 half-closes streams, not connections.
    socket.allowHalfOpen = false;
    const eager = new EagerSocket(socket, this.#options.memory);
    this.#sockets.add(eager);
    eager.once('close', () => this.#sockets.delete(eager));
    this.#server.emit('connection', eager);
    const session = this.#arrived!;
    this.#arrived = undefined;
    this.#socketOf.set(session, eager);
    this.sessions.add(session);
    session.once('close', () => this.sessions.delete(session));
    session.setLocalWindowSize(connectionWindowBytes);

    const { headTimeoutMs, idleTimeoutMs } = this.#options;
    const onSilent = () => {
      handler.onSilent();
      this.closeSoon(session);
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
      if (!handler.refusesAll) eager.admit();
      open += 1;
      // 'close' follows each 'error'.
      stream.on('error', () => {});
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
  }

  /**
   * Sends GOAWAY, so that the client can retry elsewhere what it was about to ask. Closes the socket after a short time
   * in which open streams can end, whether or not the peer closes it.
   */
  closeSoon(session: ServerHttp2Session): void {
    const socket = this.#socketOf.get(session);
    if (!socket || socket.destroyed) return;
    const timer = setTimeout(() => socket.destroy(), closeSoonMs);
    socket.once('close', () => clearTimeout(timer));
    if (!session.destroyed) session.close();
  }
}

/**
 * After a reset with NO_ERROR, Node waits until the peer has read what was written, although the peer has said that
 * it reads no more. Without this, the stream would stay as long as its connection.
 */
function closeWhenReset(stream: ServerHttp2Stream): void {
  const close = () => stream.destroy(new Error('the client has reset the stream'));
  stream.once('aborted', () => {
    if (stream.rstCode === constants.NGHTTP2_NO_ERROR) close();
  });
  // A stream that has ended on this side emits no 'aborted'.
  stream.once('end', () => {
    if (stream.closed && stream.writableLength > 0) close();
  });
}

/**
 * Node does not distinguish a reset by the client from one by the server, so both count. A reset that arrives
 * for a stream which had ended in order is not seen; sane clients do not send it.
 */
function endedInOrder(stream: ServerHttp2Stream): boolean {
  return stream.rstCode === constants.NGHTTP2_NO_ERROR && stream.readableEnded && !stream.aborted;
}
