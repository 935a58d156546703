import { STATUS_CODES } from 'node:http';
import {
  cleanText,
  type ErrorCode,
  formatTarget,
  type Target,
  type TunnelError,
} from '@fairlead/protocol';
import { FrontEndDenial } from '../front-end/front-end-policy.ts';

/** Codes that do not speak of the server itself. */
const places: Partial<Record<ErrorCode, 'agent' | 'target'>> = {
  target_refused: 'target',
  target_unreachable: 'target',
  target_reset: 'target',
  dial_timeout: 'target',
  dns_failed: 'agent',
  dial_failed: 'agent',
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

/** An answer other than 200, before it is put into a protocol's form. */
export interface Refusal {
  readonly status: number;
  /** Names in lower case; the same for HTTP/1.1 and HTTP/2. */
  readonly headers: Readonly<Record<string, string>>;
  /** One line. */
  readonly body: string;
}

/**
 * The answer for an error: what failed, where, and how long it took.
 *
 * @param elapsedMs since the request, or the connection if no request came
 * @param target left out when the request named none
 * @param allow the methods for an `allow` header
 */
export function refusalOf(
  error: TunnelError,
  elapsedMs: number,
  target?: Target,
  allow?: string,
): Refusal {
  const place = error instanceof FrontEndDenial ? undefined : places[error.code];
  const at = `at the ${place ?? 'server'}`;
  const what = target ? `, target ${formatTarget(target)}` : '';
  const body = `${cleanText(error.message)} (${error.code} ${at}${what}, after ${Math.round(elapsedMs)} ms)\n`;
  return {
    status: error.httpStatus,
    headers: {
      'content-type': 'text/plain; charset=utf-8',
      'content-length': String(Buffer.byteLength(body)),
      'fairlead-error': error.code,
      ...(allow !== undefined && { allow }),
    },
    body,
  };
}

/** A refusal as HTTP/1.1 bytes; the connection ends with it. */
export function http1Refusal({ status, headers, body }: Refusal, isHead = false): string {
  const reason = STATUS_CODES[status] ?? 'Client Closed Request';
  const rows = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${status} ${reason}\r\n${rows.join('')}connection: close\r\n\r\n${isHead ? '' : body}`;
}
