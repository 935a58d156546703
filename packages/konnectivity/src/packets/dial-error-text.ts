import { cleanText, type ErrorCode, TunnelError } from '@fairlead/protocol';

/**
 * Phrases of Go's network errors. They are all that a Konnectivity agent sends about a failed dial. No other code
 * interprets error texts.
 */
const patterns: readonly (readonly [RegExp, ErrorCode])[] = [
  // Faults of the agent's own machine, before it asked a target.
  [
    /too many open files|no buffer space|cannot assign requested|network is (unreachable|down)/i,
    'agent_failed',
  ],
  [/connection refused/i, 'target_refused'],
  [/i\/o timeout|connection timed out|deadline exceeded/i, 'dial_timeout'],
  [/no such host|server misbehaving|name resolution|dns/i, 'dns_failed'],
  [/no route to host|host is unreachable|host is down/i, 'target_unreachable'],
  [/connection reset/i, 'target_reset'],
  [/missing port|too many colons|invalid port|unknown port|want HOST:PORT/i, 'bad_target'],
];

export function dialErrorFromText(text: string): TunnelError {
  const code = patterns.find(([pattern]) => pattern.test(text))?.[1] ?? 'dial_failed';
  return new TunnelError(code, cleanText(text));
}

/** Go's phrases, for errors whose own text does not contain them. */
const phrases: Partial<Record<ErrorCode, string>> = {
  no_agent: 'No agent available',
  target_refused: 'connection refused',
  dial_timeout: 'i/o timeout',
  backend_dial_timeout: 'i/o timeout',
  tunnel_silent: 'i/o timeout',
  dns_failed: 'no such host',
};

/** The text of a DIAL_RSP for an error. Peers search it for Go's phrases, which Fairlead's agents use already. */
export function dialErrorText(error: TunnelError): string {
  const text = cleanText(error.message);
  const phrase = phrases[error.code];
  return phrase === undefined || text.includes(phrase) ? text : `${phrase}: ${text}`;
}
