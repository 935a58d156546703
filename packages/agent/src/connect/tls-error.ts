import type { Certificate, PeerCertificate, TLSSocket } from 'node:tls';
import { explainTlsFailure, explainVerdict } from '@fairlead/runtime/tls';
import { ConnectError } from './connect-error.ts';

/** TLS alerts (RFC 8446 section 6.2) with which a server refuses the agent's certificate. */
const certificateAlert =
  /_ALERT_(BAD_CERTIFICATE|UNSUPPORTED_CERTIFICATE|CERTIFICATE_REVOKED|CERTIFICATE_EXPIRED|CERTIFICATE_UNKNOWN|UNKNOWN_CA|ACCESS_DENIED|CERTIFICATE_REQUIRED)$/;

/** Errors if the peer does not speak TLS, or supports no allowed version. */
const versionMismatch =
  /^ERR_SSL_(WRONG_VERSION_NUMBER|UNSUPPORTED_PROTOCOL|TLSV1_ALERT_PROTOCOL_VERSION|PACKET_LENGTH_TOO_LONG|HTTP_REQUEST)$/;

export interface TlsPeer {
  /** `host:port`, for error texts. */
  readonly address: string;
  /** The name or IP address that its certificate must be for. */
  readonly name: string;
  /** The flag for the CA of its certificate, if it is not set. */
  readonly missingCaFlag?: string | undefined;
}

/**
 * Explains a failure of a TLS connection to a server, also after the handshake: in TLS 1.3 a server
 * verifies the client's certificate after the client's part of the handshake has ended.
 * @param certificate the server's, if it arrived
 */
export function fromTlsError(
  error: NodeJS.ErrnoException,
  socket: TLSSocket,
  peer: TlsPeer,
  certificate: PeerCertificate | undefined,
): ConnectError {
  const code = error.code ?? '';
  const cause = { cause: error };
  // Set by Node before it destroys the socket with this error.
  if (socket.authorizationError) return verificationError(error, peer, certificate);
  if (certificateAlert.test(code)) {
    return new ConnectError(
      'own_certificate',
      `the server at ${peer.address} refused the agent's certificate (${alertName(code)}). ` +
        'Check its dates, and that the server trusts the CA that signed it',
      cause,
    );
  }
  if (code.endsWith('_ALERT_NO_APPLICATION_PROTOCOL')) return alpnMismatch(peer, error);
  if (versionMismatch.test(code)) {
    return new ConnectError(
      'tls_unavailable',
      `${peer.address} does not speak TLS, or no TLS version that --tls-min-version allows (${code})`,
      cause,
    );
  }
  if (code === 'ECONNRESET' || code === 'EPIPE') return closedEarly(peer, error);
  const detail = explainTlsFailure(error);
  return new ConnectError('reset', `TLS with ${peer.address} failed: ${detail}`, cause);
}

/** The server does not support the requested transport. */
export function alpnMismatch({ address }: TlsPeer, cause?: Error): ConnectError {
  return new ConnectError(
    'protocol_mismatch',
    `the server at ${address} does not support the offered protocol (ALPN); is this the --agent-port of fairlead-server?`,
    { cause },
  );
}

/** The connection ended before the server had sent anything. */
export function closedEarly({ address }: TlsPeer, cause?: Error): ConnectError {
  return new ConnectError(
    'reset',
    `the server at ${address} closed the connection before it sent anything. ` +
      "Some servers do so when they refuse the agent's certificate",
    { cause },
  );
}

function verificationError(
  error: NodeJS.ErrnoException,
  { address, name, missingCaFlag }: TlsPeer,
  certificate: PeerCertificate | undefined,
): ConnectError {
  const dates = certificate && { from: certificate.valid_from, to: certificate.valid_to };
  const verdict =
    explainVerdict(error.code ?? '', dates, 'the clock of this machine') ??
    `${error.message} (${error.code})`;
  const isUntrusted = missingCaFlag !== undefined && verdict.includes('not trusted');
  const cure = isUntrusted
    ? `. ${missingCaFlag} is not set, so only public CAs are trusted: set it to the CA that signed this certificate`
    : '';
  const shown = certificate === undefined ? '' : `; it shows ${describe(certificate)}`;
  return new ConnectError(
    'server_certificate',
    `the certificate of the server at ${address} was refused for "${name}": ${verdict}${shown}${cure}`,
    { cause: error },
  );
}

function describe({ subject, subjectaltname, issuer, valid_to }: PeerCertificate): string {
  return (
    `subject ${distinguishedName(subject)}, names ${subjectaltname ?? 'none'}, ` +
    `issuer ${distinguishedName(issuer)}, valid until ${new Date(valid_to).toISOString()}`
  );
}

function distinguishedName(name: Certificate): string {
  const parts = Object.entries(name).map(([key, value]) => `${key}=${[value].flat().join('+')}`);
  return parts.join(' ') || 'none';
}

/** `ERR_SSL_TLSV1_ALERT_UNKNOWN_CA`: "unknown ca". */
function alertName(code: string): string {
  return code
    .replace(/^.*_ALERT_/, '')
    .replaceAll('_', ' ')
    .toLowerCase();
}
