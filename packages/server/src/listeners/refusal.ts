import type { Socket } from 'node:net';
import { encodeFields, type Http2Stream } from '@fairlead/http2';
import {
  cleanText,
  destroyLater,
  type ErrorCode,
  formatTarget,
  type Target,
  TunnelError,
} from '@fairlead/protocol';

/** How long a peer may take to read a refusal: enough for any network, short enough to cost little. */
const lingerMs = 2_000;

/** Errors that happen beyond the server; all others are the server's own. */
const origins: Partial<Record<ErrorCode, 'agent' | 'target'>> = {
  target_refused: 'target',
  target_unreachable: 'target',
  target_reset: 'target',
  dial_timeout: 'target',
  dns_failed: 'agent',
  dial_failed: 'agent',
  agent_failed: 'agent',
  tunnel_lost: 'agent',
  tunnel_silent: 'agent',
  backend_dial_timeout: 'agent',
  protocol_error: 'agent',
  frame_error: 'agent',
  flow_control_error: 'agent',
  stream_id_error: 'agent',
  stream_closed: 'agent',
  policy_denied: 'agent',
};

/** `policy_denied` by this server's own policy; without this class the agent denied. */
export class FrontEndDenial extends TunnelError {}

/** What an answer says beside the error. */
export interface RefusalDetails {
  readonly target?: Target | undefined;
  /** The methods for an `allow` header. */
  readonly allow?: string | undefined;
  /** A HEAD request, whose answer has no body. */
  readonly isHead?: boolean;
}

/**
 * Answers an HTTP/1.1 request with an error and closes the connection.
 * @param startedAtMs when the request came, or the connection if no request came, by `performance.now()`
 */
export function refuseHttp1(
  socket: Socket,
  error: TunnelError,
  startedAtMs = performance.now(),
  details: RefusalDetails = {},
): void {
  lingeringClose(socket, http1Refusal(error, startedAtMs, details));
}

/** The answer of `refuseHttp1`. kube-apiserver logs its status line, and curl shows its headers with -v. */
export function http1Refusal(
  error: TunnelError,
  startedAtMs = performance.now(),
  details: RefusalDetails = {},
): string {
  const { headers, body } = answerOf(error, startedAtMs, details);
  const reason = `${error.code}: ${headers['fairlead-error-detail']}`;
  const rows = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  const head = `HTTP/1.1 ${error.httpStatus} ${reason}\r\n${rows.join('')}connection: close\r\n\r\n`;
  return details.isHead ? head : head + body;
}

/**
 * Answers an HTTP/2 request with an error and releases the stream, whatever the client still sends: RST_STREAM
 * with NO_ERROR after a complete answer asks the client to stop (RFC 9113 section 8.1).
 * @param startedAtMs when the request came, by `performance.now()`
 */
export function refuseHttp2(
  stream: Http2Stream,
  error: TunnelError,
  startedAtMs: number,
  details: RefusalDetails = {},
): void {
  const { headers, body } = answerOf(error, startedAtMs, details);
  stream.respond(encodeFields({ ':status': String(error.httpStatus), ...headers }));
  stream.write(Buffer.from(body));
  stream.finish();
}

/** Says in one line what failed, where, and after how long. Header names are in lower case. */
function answerOf(error: TunnelError, startedAtMs: number, { target, allow }: RefusalDetails) {
  const origin = error instanceof FrontEndDenial ? undefined : origins[error.code];
  const at = `${error.code} at the ${origin ?? 'server'}`;
  const what = target ? `, target ${formatTarget(target)}` : '';
  const elapsedMs = Math.round(performance.now() - startedAtMs);
  const body = `${cleanText(error.message)} (${at}${what}, after ${elapsedMs} ms)\n`;
  const headers = {
    'content-type': 'text/plain; charset=utf-8',
    'content-length': String(Buffer.byteLength(body)),
    'fairlead-error': error.code,
    // Headers are ASCII; the body has the original text.
    'fairlead-error-detail': cleanText(error.message).replace(/[^ -~]/g, '?'),
    ...(allow !== undefined && { allow }),
  };
  return { headers, body };
}

/**
 * Sends an answer and closes the connection so that the answer arrives.
 *
 * If a socket is closed while the peer still sends, the kernel answers with RST, and the peer's kernel then
 * discards the answer. So this side ends first and discards what the peer sends. It destroys the socket when the
 * peer ends too, or after 2 s.
 */
export function lingeringClose(socket: Socket, answer: string | Buffer): void {
  if (socket.destroyed) return;
  // The answer is best effort: a peer that has gone does not miss it.
  socket.on('error', () => {});
  socket.end(answer);
  socket.resume();
  destroyLater(socket, lingerMs);
}
