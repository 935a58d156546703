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
import { EagerSocket } from './eager-socket.ts';

export interface Http2Options {
  /** From the start of the connection to the client's preface and SETTINGS. */
  readonly headTimeoutMs: number;
  /** Request headers, as HTTP/2 counts them: 32 bytes more per header than their text. */
  readonly maxHeadBytes: number;
  /** What one stream may send ahead of its reader, who may stall; default 1 MiB. */
  readonly streamWindowBytes?: number;
  /** Per connection; default 10,000. */
  readonly maxConcurrentStreams?: number;
}

/** Who serves the requests of a connection. */
export interface Http2Handler {
  /** @param rawHeaders names and values in turns, as they came */
  onRequest(
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    rawHeaders: readonly string[],
  ): void;
  /** The client did not introduce itself in time; the connection is closed. */
  onSilent(): void;
}

/** Enough for 80 Mbit/s to a client 100 ms away; most are on the same machine. */
const defaultStreamWindowBytes = 1024 * 1024;
const defaultMaxConcurrentStreams = 10_000;

/** For all streams of a connection together; a stalled stream does not eat from it. */
const connectionWindowBytes = 16 * 1024 * 1024;

/** In MB. Node's default of 10 is used up by about a thousand streams. */
const maxSessionMemory = 256;

/**
 * From Node 24 on `streamResetBurst` and `streamResetRate` lift nghttp2's limit on resets by
 * clients; older versions ignore them, and end a connection after about 1,000 resets.
 */
const canLiftResetLimit = Number.parseInt(process.versions.node, 10) >= 24;
const resetLimit = { streamResetBurst: 1_000_000, streamResetRate: 100_000 };

/** Where the limit stays, a connection is wound up before nghttp2 would cut it off. */
const maxResets = canLiftResetLimit ? Number.POSITIVE_INFINITY : 800;

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
  /** Handed from `take` to the 'session' event, which comes within the same call. */
  #arrived: ServerHttp2Session | undefined;

  constructor(options: Http2Options) {
    this.#options = options;
    const serverOptions: ServerOptions & typeof resetLimit = {
      maxSessionMemory,
      settings: {
        enablePush: false,
        initialWindowSize: options.streamWindowBytes ?? defaultStreamWindowBytes,
        maxConcurrentStreams: options.maxConcurrentStreams ?? defaultMaxConcurrentStreams,
        maxHeaderListSize: options.maxHeadBytes,
      },
      ...resetLimit,
    };
    this.#server = createServer(serverOptions);
    this.#server.on('session', (session) => {
      this.#arrived = session;
    });
  }

  /**
   * Takes a connection; bytes that were read before must be back in the socket. An idle connection
   * stays open. `close()` of what is returned drains it: GOAWAY, and open streams go on.
   */
  take(socket: Socket, handler: Http2Handler): ServerHttp2Session {
    // node:http2 leaves the peer's end to the socket: half-open, the session would outlive a peer that
    // has gone. Half-close is a matter of HTTP/2's streams.
    socket.allowHalfOpen = false;
    this.#server.emit('connection', new EagerSocket(socket));
    const session = this.#arrived!;
    this.#arrived = undefined;
    session.setLocalWindowSize(connectionWindowBytes);

    const deadline = setTimeout(() => {
      handler.onSilent();
      session.destroy();
    }, this.#options.headTimeoutMs);
    const onIntroduced = () => clearTimeout(deadline);
    session.once('remoteSettings', onIntroduced).once('close', onIntroduced);

    let resets = 0;
    const onStream = (
      stream: ServerHttp2Stream,
      headers: IncomingHttpHeaders,
      _flags: number,
      rawHeaders: readonly string[],
    ) => {
      stream.on('error', ignore);
      stream.once('close', () => {
        if (endedInOrder(stream)) return;
        resets += 1;
        if (resets === maxResets) session.close();
      });
      handler.onRequest(stream, headers, rawHeaders);
    };
    session.on('stream', onStream);
    return session;
  }
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
