import type { IncomingHttpHeaders } from 'node:http';
import type { Readable } from 'node:stream';
import { cleanText, TunnelError } from '@fairlead/protocol';

/** Why a connection to a server failed, and whether another transport can succeed. */
const otherTransportMayWork = {
  // All transports dial the same port.
  dns_failed: false,
  refused: false,
  unreachable: false,
  dial_timeout: false,
  proxy_failed: false,
  // All transports use the same TLS and the same certificates.
  server_certificate: false,
  own_certificate: false,
  own_token: false,
  tls_unavailable: false,
  // The server's verdict on the agent's identity.
  identity_refused: false,
  identity_unknown: false,
  // The server sent HELLO, and ended the tunnel before it accepted the agent.
  not_taken: false,
  cancelled: false,
  // A proxy or load balancer on the path can treat each transport differently.
  handshake_timeout: true,
  reset: true,
  protocol_mismatch: true,
  http_refused: true,
} as const;

export type ConnectFailure = keyof typeof otherTransportMayWork;

/** The agent could not connect to a server. The text is one line that names server, cause and cure. */
export class ConnectError extends Error {
  readonly reason: ConnectFailure;

  constructor(reason: ConnectFailure, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'ConnectError';
    this.reason = reason;
  }

  /** False if every transport would fail for the same reason. */
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

/** Translates an error of `dialTarget` to a server. */
export function fromDialError(error: unknown, server: string): ConnectError {
  if (error instanceof ConnectError) return error;
  const reason = error instanceof TunnelError ? dialReasons[error.code] : undefined;
  const detail = error instanceof Error ? error.message : String(error);
  return new ConnectError(reason ?? 'unreachable', `cannot reach ${server}: ${detail}`, {
    cause: error,
  });
}

/** Codes of docs/errors.md with which a server refuses an agent, whatever the transport. */
const identityCodes: ReadonlyMap<unknown, ConnectFailure> = new Map([
  ['unauthenticated', 'identity_refused'],
  ['unauthorized', 'identity_refused'],
  ['authentication_unavailable', 'identity_unknown'],
]);

/** The failure for a server's error code; undefined if the code is not about the agent's identity. */
export const identityFailure = (code: unknown) => identityCodes.get(code);

/** A server's reason is one line. Of a proxy's HTML page only the beginning is shown. */
const MAX_BODY_BYTES = 1024;

/** The error for an HTTP answer with another status than expected; shows the beginning of its body. */
export async function refusedByHttp(
  address: string,
  status: number | undefined,
  headers: IncomingHttpHeaders,
  body: Readable,
): Promise<ConnectError> {
  let text = '';
  try {
    for await (const chunk of body) {
      text += chunk;
      if (text.length >= MAX_BODY_BYTES) break;
    }
  } catch {
    // The part that arrived before the error is shown.
  }
  const detail = text && `: ${cleanText(text)}`;
  return new ConnectError(
    identityFailure(headers['fairlead-error']) ?? 'http_refused',
    `the server at ${address} answered with HTTP status ${status}${detail}`,
  );
}
