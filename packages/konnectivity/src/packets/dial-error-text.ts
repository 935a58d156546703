import { cleanText, type ErrorCode, TunnelError } from '@fairlead/protocol';

/**
 * Words of Go's network errors. A Konnectivity agent says nothing else of why a dial failed; this
 * is the only place that reads error texts.
 */
const words: readonly (readonly [RegExp, ErrorCode])[] = [
  [/connection refused/i, 'target_refused'],
  [/i\/o timeout|connection timed out|deadline exceeded/i, 'dial_timeout'],
  [/no such host|server misbehaving|name resolution|dns/i, 'dns_failed'],
  [/no route to host|is unreachable|host is down|cannot assign requested/i, 'target_unreachable'],
  [/connection reset/i, 'target_reset'],
  [/missing port|too many colons|invalid port|unknown port|want HOST:PORT/i, 'bad_target'],
];

/** The error behind the text of a DIAL_RSP. */
export function dialErrorFromText(text: string): TunnelError {
  const code = words.find(([pattern]) => pattern.test(text))?.[1] ?? 'dial_failed';
  return new TunnelError(code, cleanText(text));
}

/** What Go would have said, for errors whose own text does not say it. */
const phrases: Partial<Record<ErrorCode, string>> = {
  no_agent: 'No agent available',
  target_refused: 'connection refused',
  dial_timeout: 'i/o timeout',
  backend_dial_timeout: 'i/o timeout',
  tunnel_silent: 'i/o timeout',
  dns_failed: 'no such host',
};

/**
 * The text of a DIAL_RSP for an error. Peers look for Go's phrases in it; the dialer of our own agents uses
 * them already.
 */
export function dialErrorText(error: TunnelError): string {
  const text = cleanText(error.message);
  const phrase = phrases[error.code];
  return phrase === undefined || text.includes(phrase) ? text : `${phrase}: ${text}`;
}
