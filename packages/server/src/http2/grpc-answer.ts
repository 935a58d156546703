import { encodeFields, type Fields, type Http2Stream, type RequestHead } from '@fairlead/http2';
import { type GrpcError, trailersOnly } from '@fairlead/konnectivity';

const accepted = { ':status': '200', 'content-type': 'application/grpc' };
/** The head of an answer without metadata. */
export const grpcHead = encodeFields(accepted);

/** Whether a request is gRPC, whatever its message format. */
export function isGrpc(request: RequestHead): boolean {
  const type = request.get('content-type');
  return (
    request.method === 'POST' &&
    (type === 'application/grpc' || type?.startsWith('application/grpc+') === true)
  );
}

/** Starts an answer at once; the call's status follows in trailers. */
export function acceptGrpc(stream: Http2Stream, metadata: Fields): void {
  stream.respond(encodeFields({ ...accepted, ...metadata }));
}

/** Answers with a status only. */
export function refuseGrpc(stream: Http2Stream, error: GrpcError): void {
  stream.respond(encodeFields(trailersOnly(error)), true);
  stream.finish();
}
