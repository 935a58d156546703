/** Names by which a server offers tunnels (docs/spec.md, section 10). */

/** ALPN protocol of frames directly on a TLS connection (spec 10.1). */
export const TUNNEL_ALPN = 'fairlead/1';

/** Path of the WebSocket and of the HTTP/2 POST (spec 10.2, 10.3). */
export const TUNNEL_PATH = '/fairlead/v1/tunnel';

/** WebSocket subprotocol (spec 10.2). */
export const TUNNEL_SUBPROTOCOL = 'fairlead.v1';

/** Content type of the HTTP/2 request (spec 10.3). */
export const TUNNEL_CONTENT_TYPE = 'application/fairlead';

/**
 * Initial HTTP/2 window of the stream and of the connection, which both sides must set. With the default of 64 KiB, a
 * tunnel carries 0.66 MB/s at 100 ms round trip time.
 */
export const HTTP2_WINDOW_BYTES = 16 * 1024 * 1024;
