import type { IncomingHttpHeaders } from 'node:http2';
import { cleanText, type ErrorCode, TunnelError } from '@fairlead/protocol';

/** gRPC's status codes, each at the index that is its number. */
const statuses = [
  'OK',
  'CANCELLED',
  'UNKNOWN',
  'INVALID_ARGUMENT',
  'DEADLINE_EXCEEDED',
  'NOT_FOUND',
  'ALREADY_EXISTS',
  'PERMISSION_DENIED',
  'RESOURCE_EXHAUSTED',
  'FAILED_PRECONDITION',
  'ABORTED',
  'OUT_OF_RANGE',
  'UNIMPLEMENTED',
  'INTERNAL',
  'UNAVAILABLE',
  'DATA_LOSS',
  'UNAUTHENTICATED',
] as const;

export type GrpcStatus = (typeof statuses)[number];

/** The status in Go's spelling, which Konnectivity's metrics use: `DeadlineExceeded`. */
export function goStatusName(status: GrpcStatus): string {
  if (status === 'OK') return status;
  if (status === 'CANCELLED') return 'Canceled';
  const words = status.toLowerCase().split('_');
  return words.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join('');
}

export class GrpcError extends Error {
  readonly status: GrpcStatus;

  /** @param message one line */
  constructor(status: GrpcStatus, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'GrpcError';
    this.status = status;
  }
}

const statusOfCode: Partial<Record<ErrorCode, GrpcStatus>> = {
  cancelled: 'CANCELLED',
  shutting_down: 'UNAVAILABLE',
  superseded: 'ALREADY_EXISTS',
  tunnel_lost: 'UNAVAILABLE',
  tunnel_silent: 'UNAVAILABLE',
  limit_reached: 'RESOURCE_EXHAUSTED',
  memory_limit: 'RESOURCE_EXHAUSTED',
  unauthenticated: 'UNAUTHENTICATED',
  unauthorized: 'PERMISSION_DENIED',
  authentication_unavailable: 'UNAVAILABLE',
  policy_denied: 'PERMISSION_DENIED',
  bad_request: 'INVALID_ARGUMENT',
  bad_target: 'INVALID_ARGUMENT',
  method_not_allowed: 'UNIMPLEMENTED',
};

/** An error as the status that ends a call. */
export function toGrpcError(error: Error): GrpcError {
  if (error instanceof GrpcError) return error;
  const code = error instanceof TunnelError ? error.code : 'internal_error';
  return new GrpcError(statusOfCode[code] ?? 'INTERNAL', error.message, { cause: error });
}

/** The trailers of a call. Without an error, the status is OK. */
export function grpcTrailers(error?: GrpcError): Record<string, string> {
  if (!error) return { 'grpc-status': '0' };
  return {
    'grpc-status': String(statuses.indexOf(error.status)),
    'grpc-message': percentEncode(cleanText(error.message)),
  };
}

/** The response headers that end a call before it begins (gRPC's Trailers-Only). */
export function trailersOnly(error: GrpcError): Record<string, string> {
  return {
    ':status': '200',
    'content-type': 'application/grpc',
    ...grpcTrailers(error),
  };
}

/** The error in the trailers, or in Trailers-Only headers; undefined if the status is OK. */
export function errorFromTrailers(trailers: IncomingHttpHeaders): GrpcError | undefined {
  const text = trailers['grpc-status'];
  if (text === '0') return undefined;
  const message = cleanText(percentDecode(String(trailers['grpc-message'] ?? '')));
  if (text === undefined) return new GrpcError('UNKNOWN', 'the call ended without a status');
  const status = statuses[Number(text)] ?? 'UNKNOWN';
  return new GrpcError(status, message || `the call ended with status ${status}`);
}

/** Encodes all but printable ASCII, and the percent sign (gRPC over HTTP/2, "Status-Message"). */
function percentEncode(text: string): string {
  return text.replace(/[^ -$&-~]+/g, (run) =>
    Buffer.from(run).toString('hex').toUpperCase().replace(/../g, '%$&'),
  );
}

/** Returns an incorrectly encoded message as it is, as the specification requires. */
function percentDecode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
