import {
  constants,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  type ServerHttp2Stream,
} from 'node:http2';
import { type GrpcError, trailersOnly } from '@fairlead/konnectivity';

/** Whether a request is gRPC, whatever its message format. */
export function isGrpc(headers: IncomingHttpHeaders): boolean {
  const type = headers['content-type'];
  return (
    headers[':method'] === 'POST' &&
    (type === 'application/grpc' || type?.startsWith('application/grpc+') === true)
  );
}

/** Starts an answer; the call's status follows in trailers. */
export function acceptGrpc(stream: ServerHttp2Stream, metadata: OutgoingHttpHeaders = {}): void {
  if (stream.destroyed || stream.closed) return;
  stream.respond(
    { ':status': 200, 'content-type': 'application/grpc', ...metadata },
    { waitForTrailers: true },
  );
}

/** Answers with a status only. */
export function refuseGrpc(stream: ServerHttp2Stream, error: GrpcError): void {
  if (stream.destroyed || stream.closed) return;
  stream.respond(trailersOnly(error), { endStream: true });
  stream.resume();
  stream.close(constants.NGHTTP2_NO_ERROR);
}
