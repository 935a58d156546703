import type { Duplex } from 'node:stream';
import { formatTarget, HTTP2_WINDOW_BYTES, type Target } from '@fairlead/protocol';
import http2, { type ClientHttp2Session, type ClientHttp2Stream } from 'http2-wrapper';

/**
 * HTTP/2 on a connection that ALPN gave to it, for one stream, with windows for a long link.
 *
 * http2-wrapper's Agent is not for this: it shares sessions, and refuses a server whose name is an
 * IPv6 address or differs from the address of the socket, as behind a proxy.
 */
export function startHttp2(socket: Duplex, authority: Target): ClientHttp2Session {
  // node:http2 leaves the peer's end to the socket: half-open, the session would outlive a peer that has
  // gone. Half-close is a matter of HTTP/2's streams.
  socket.allowHalfOpen = false;
  const session = http2.connect(`https://${formatTarget(authority)}`, {
    createConnection: () => socket,
    settings: { enablePush: false, initialWindowSize: HTTP2_WINDOW_BYTES },
  });
  session.once('connect', () => session.setLocalWindowSize(HTTP2_WINDOW_BYTES));
  return session;
}

/** Ends the session with its only stream: in order after an orderly end, else at once. */
export function closeWithStream(session: ClientHttp2Session, stream: ClientHttp2Stream): void {
  stream.once('close', () => {
    if (stream.rstCode === 0 && !stream.errored && !stream.aborted) session.close();
    else session.destroy();
  });
}
