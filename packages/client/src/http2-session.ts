import { constants } from 'node:http2';
import http2, { type ClientHttp2Session, type ClientHttp2Stream } from 'http2-wrapper';
import { type ClientError, toClientError } from './client-error.ts';
import { dialFrontEnd } from './dial-front-end.ts';
import { EagerSocket } from './eager-socket.ts';
import type { Route } from './route.ts';

/** Large enough that HTTP/2's windows limit nobody on these links. */
const windowBytes = 16 * 1024 * 1024;
const connectionErrors = new WeakMap<object, ClientError>();

/** Opens an HTTP/2 connection to the route's address, with windows that do not get in the way. */
export function openHttp2Session(route: Route): ClientHttp2Session {
  const socket = dialFrontEnd(route, { alpn: 'h2' });
  const session = http2.connect('http://localhost', {
    settings: { initialWindowSize: windowBytes, enablePush: false },
    createConnection: () => (route.isEager ? new EagerSocket(socket) : socket),
  });
  // A session tells its streams that it was destroyed, and not why.
  socket.once('error', (error) => connectionErrors.set(session, toClientError(error)));
  session.once('connect', () => session.setLocalWindowSize(windowBytes));
  session.on('error', () => {});
  session.setMaxListeners(0);
  return session;
}

/** Why the connection under a session failed; undefined while it did not. */
export function connectionErrorOf(session: object | undefined): ClientError | undefined {
  return session && connectionErrors.get(session);
}

/**
 * Gives a stream up, whatever is still to be written: with NO_ERROR Node would wait for the writes,
 * and for good where the peer has stopped to read.
 */
export function cancelHttp2Stream(stream: ClientHttp2Stream): void {
  stream.close(constants.NGHTTP2_CANCEL);
}

/** The HTTP/2 connections that the streams of a route share, as those of one client would. */
class SharedSessions {
  readonly #route: Route;
  readonly #sessions: (ClientHttp2Session | undefined)[];
  #next = 0;

  constructor(route: Route) {
    this.#route = route;
    this.#sessions = Array.from({ length: route.connections ?? 1 });
  }

  /** Streams take turns; a connection that is closed, or takes no new streams, is replaced. */
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

/** The connection for the next stream of this route. */
export function sharedHttp2Session(route: Route): ClientHttp2Session {
  let sessions = shared.get(route);
  if (!sessions) {
    sessions = new SharedSessions(route);
    shared.set(route, sessions);
  }
  return sessions.next();
}

/** Closes the connections that streams of this route shared, and the streams on them. */
export function closeRoute(route: Route): void {
  shared.get(route)?.destroy();
  shared.delete(route);
}
