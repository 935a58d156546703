import { TunnelError } from '@fairlead/protocol';

/** Why a server was not reached, and whether another transport could fare better. */
const otherTransportMayWork = {
  // The way to the port is the same for all transports.
  dns_failed: false,
  refused: false,
  unreachable: false,
  dial_timeout: false,
  proxy_failed: false,
  // So are certificates and TLS itself.
  server_certificate: false,
  own_certificate: false,
  own_token: false,
  // What a server says of either.
  identity_refused: false,
  identity_unknown: false,
  // It introduced itself, and then ended the tunnel before it took the agent.
  not_taken: false,
  tls_unavailable: false,
  cancelled: false,
  // What a proxy or load balancer on the way does depends on what it sees inside.
  handshake_timeout: true,
  reset: true,
  protocol_mismatch: true,
  http_refused: true,
} as const;

export type ConnectFailure = keyof typeof otherTransportMayWork;

/** The agent could not connect to a server. The text is one line that names server and cure. */
export class ConnectError extends Error {
  readonly reason: ConnectFailure;

  constructor(reason: ConnectFailure, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'ConnectError';
    this.reason = reason;
  }

  /** False when every transport would fail alike. */
  get otherTransportMayWork(): boolean {
    return otherTransportMayWork[this.reason];
  }
}

const dialReasons: Readonly<Partial<Record<string, ConnectFailure>>> = {
  dns_failed: 'dns_failed',
  target_refused: 'refused',
  target_unreachable: 'unreachable',
  target_reset: 'reset',
  dial_timeout: 'dial_timeout',
  cancelled: 'cancelled',
};

/** What `dialTarget` threw, for a server instead of a target. */
export function fromDialError(error: unknown, server: string): ConnectError {
  if (error instanceof ConnectError) return error;
  const reason = error instanceof TunnelError ? dialReasons[error.code] : undefined;
  const detail = error instanceof Error ? error.message : String(error);
  return new ConnectError(reason ?? 'unreachable', `cannot reach ${server}: ${detail}`, {
    cause: error,
  });
}
