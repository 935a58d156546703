import { constants, type Http2Stream } from 'node:http2';
import type { Duplex } from 'node:stream';

export function isHttp2Stream(stream: Duplex): stream is Http2Stream {
  return 'rstCode' in stream;
}

/** Whether either side has reset the HTTP/2 stream. Such a stream still emits 'end'. */
export function wasReset(stream: Duplex): boolean {
  return (
    isHttp2Stream(stream) &&
    (stream.aborted || (stream.rstCode !== 0 && stream.rstCode !== undefined))
  );
}

/** Resets a CONNECT stream with CONNECT_ERROR, so that the peer sees a failure and not an end (RFC 9113 section 8.5). */
export function resetHttp2Stream(stream: Http2Stream): void {
  // Node ends a stream before it resets it, and the peer could read the end long before the reset.
  stream._final = (done) => done();
  stream.close(constants.NGHTTP2_CONNECT_ERROR);
}
