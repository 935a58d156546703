import type { Duplex } from 'node:stream';

/** RFC 9113 section 8.5: a TCP error on a CONNECT stream is signalled as CONNECT_ERROR. */
const NGHTTP2_CONNECT_ERROR = 10;

interface Http2StreamLike extends Duplex {
  readonly aborted: boolean;
  readonly rstCode: number;
  close(code: number): void;
}

export function isHttp2Stream(stream: Duplex): stream is Http2StreamLike {
  return 'rstCode' in stream;
}

/** Whether it is an HTTP/2 stream that either side has reset: such a one emits 'end' as if all were well. */
export function wasReset(stream: Duplex): boolean {
  return (
    isHttp2Stream(stream) &&
    (stream.aborted || (stream.rstCode !== 0 && stream.rstCode !== undefined))
  );
}

/** Resets a CONNECT stream, so that its peer sees a failure and not an end. */
export function resetHttp2Stream(stream: Http2StreamLike): void {
  // Node ends a stream before it resets it, and a peer may read the end some time before the reset.
  stream._final = (done) => done();
  stream.close(NGHTTP2_CONNECT_ERROR);
}
