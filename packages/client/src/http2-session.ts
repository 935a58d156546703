import { constants } from 'node:http2';
import http2, { type ClientHttp2Session, type ClientHttp2Stream } from 'http2-wrapper';
import { type ClientError, toClientError } from './client-error.ts';
import { dialFrontEnd } from './dial-front-end.ts';
import { EagerSocket } from './eager-socket.ts';
import type { Route } from './route.ts';

/** Large enough that HTTP/2's windows do not limit throughput. */
const windowBytes = 16 * 1024 * 1024;
const connectionErrors = new WeakMap<object, ClientError>();

/** Opens an HTTP/2 connection to the route's address, with large windows. */
export function openHttp2Session(route: Route): ClientHttp2Session {
  const socket = dialFrontEnd(route, { alpn: 'h2' });
  const session = http2.connect('http://localhost', {
    settings: { initialWindowSize: windowBytes, enablePush: false },
    createConnection: () => (route.isEager ? new EagerSocket(socket) : socket),
  });
  // A destroyed session does not pass the reason to its streams.
  socket.once('error', (error) => connectionErrors.set(session, toClientError(error)));
  session.once('connect', () => session.setLocalWindowSize(windowBytes));
  session.on('error', () => {});
  session.setMaxListeners(0);
  return session;
}

/** The error of the connection below a session; undefined if it did not fail. */
export function connectionErrorOf(session: object | undefined): ClientError | undefined {
  return session && connectionErrors.get(session);
}

/**
 * Resets a stream and discards its pending writes. With NO_ERROR, Node would wait for the writes, and
 * forever if the peer does not read.
 */
export function cancelHttp2Stream(stream: ClientHttp2Stream): void {
  stream.close(constants.NGHTTP2_CANCEL);
}

/** The HTTP/2 connections that the streams of a route share. */
class SharedSessions {
  readonly #route: Route;
  readonly #sessions: (ClientHttp2Session | undefined)[];
  #next = 0;

  constructor(route: Route) {
    this.#route = route;
    this.#sessions = Array.from({ length: route.connections ?? 1 });
  }

  /** Uses the connections in rotation. A connection that is closed, or refuses streams, is replaced. */
  next(): ClientHttp2Session {
    const at = this.#next;
    this.#next = (at + 1) % this.#sessions.length;
    let session = this.#sessions[at];
    if (!session || session.closed || session.destroyed) {
      session = openHttp2Session(this.#route);
      this.#sessions[at] = session;
    }
    return session;
  }

  destroy(): void {
    for (const session of this.#sessions) session?.destroy();
  }
}

const shared = new Map<Route, SharedSessions>();

export function sharedHttp2Session(route: Route): ClientHttp2Session {
  let sessions = shared.get(route);
  if (!sessions) {
    sessions = new SharedSessions(route);
    shared.set(route, sessions);
  }
  return sessions.next();
}

/** Closes the shared connections of the route, with the streams on them. */
export function closeRoute(route: Route): void {
  shared.get(route)?.destroy();
  shared.delete(route);
}
