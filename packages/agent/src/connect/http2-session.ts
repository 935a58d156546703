import type { Duplex } from 'node:stream';
import { formatTarget, HTTP2_WINDOW_BYTES, type Target } from '@fairlead/protocol';
import http2, { type ClientHttp2Session, type ClientHttp2Stream } from 'http2-wrapper';

/**
 * Starts HTTP/2 on a connection whose ALPN is `h2`, for one stream, with windows for long round trips.
 *
 * http2-wrapper's Agent does not fit: it shares sessions, and it refuses a server whose name is an IPv6
 * address or, as behind a proxy, differs from the address of the socket.
 */
export function startHttp2(socket: Duplex, authority: Target): ClientHttp2Session {
  // node:http2 leaves the peer's end to the socket: with half-open allowed, the session would outlive its
  // peer. Half-close belongs to the streams of HTTP/2.
  socket.allowHalfOpen = false;
  const session = http2.connect(`https://${formatTarget(authority)}`, {
    createConnection: () => socket,
    settings: { enablePush: false, initialWindowSize: HTTP2_WINDOW_BYTES },
  });
  session.once('connect', () => session.setLocalWindowSize(HTTP2_WINDOW_BYTES));
  return session;
}

/** Ends the session with its only stream: cleanly after a clean end of the stream, else at once. */
export function closeWithStream(session: ClientHttp2Session, stream: ClientHttp2Stream): void {
  stream.once('close', () => {
    if (stream.rstCode === 0 && !stream.errored && !stream.aborted) session.close();
    else session.destroy();
  });
}
