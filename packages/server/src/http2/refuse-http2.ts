import { constants, type ServerHttp2Stream } from 'node:http2';
import type { Target, TunnelError } from '@fairlead/protocol';
import { refusalOf } from '../listeners/refusal.ts';

/**
 * Answers with an error and lets go of the stream, whatever the client still sends: RST_STREAM with
 * NO_ERROR behind a complete answer asks it to stop (RFC 9113 section 8.1).
 *
 * @param startedAtMs when the request came, by `performance.now()`
 */
export function refuseHttp2(
  stream: ServerHttp2Stream,
  error: TunnelError,
  startedAtMs: number,
  target?: Target,
  allow?: string,
): void {
  if (stream.destroyed || stream.closed) return;
  const elapsedMs = performance.now() - startedAtMs;
  const { status, headers, body } = refusalOf(error, elapsedMs, target, allow);
  stream.respond({ ':status': status, ...headers });
  stream.resume();
  stream.end(body, () => stream.close(constants.NGHTTP2_NO_ERROR));
}
