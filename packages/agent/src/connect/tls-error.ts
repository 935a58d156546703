import type { Certificate, PeerCertificate, TLSSocket } from 'node:tls';
import { explainVerdict } from '@fairlead/runtime/tls';
import { ConnectError } from './connect-error.ts';

/** TLS alerts (RFC 8446 section 6.2) with which a server turns our certificate down. */
const certificateAlert =
  /_ALERT_(BAD_CERTIFICATE|UNSUPPORTED_CERTIFICATE|CERTIFICATE_REVOKED|CERTIFICATE_EXPIRED|CERTIFICATE_UNKNOWN|UNKNOWN_CA|ACCESS_DENIED|CERTIFICATE_REQUIRED)$/;

/** What a peer answers that speaks no TLS, or none of our version. */
const versionMismatch =
  /^ERR_SSL_(WRONG_VERSION_NUMBER|UNSUPPORTED_PROTOCOL|TLSV1_ALERT_PROTOCOL_VERSION|PACKET_LENGTH_TOO_LONG|HTTP_REQUEST)$/;

/** Where a TLS connection was going, and what its certificate has to be for. */
export interface TlsPeer {
  /** `host:port`, for texts. */
  readonly address: string;
  /** The name or IP address that is verified. */
  readonly name: string;
}

/**
 * A failure of a TLS connection to a server, also one that came after our side of the handshake:
 * in TLS 1.3 a server judges our certificate when we are done already.
 * @param certificate the server's, as far as it was seen
 */
export function fromTlsError(
  error: NodeJS.ErrnoException,
  socket: TLSSocket,
  peer: TlsPeer,
  certificate: PeerCertificate | undefined,
): ConnectError {
  const code = error.code ?? '';
  const cause = { cause: error };
  // Node sets it, then destroys the socket with the verdict.
  if (socket.authorizationError) return verificationError(error, peer, certificate);
  if (certificateAlert.test(code)) {
    return new ConnectError(
      'own_certificate',
      `the server at ${peer.address} refused our certificate (${alertName(code)}); ` +
        'check its dates and that the server trusts the CA that signed it',
      cause,
    );
  }
  if (code.endsWith('_ALERT_NO_APPLICATION_PROTOCOL')) return alpnMismatch(peer, error);
  if (versionMismatch.test(code)) {
    return new ConnectError(
      'tls_unavailable',
      `${peer.address} speaks no TLS, or no version of TLS that is allowed here (${code})`,
      cause,
    );
  }
  if (code === 'ECONNRESET' || code === 'EPIPE') return closedEarly(peer, error);
  return new ConnectError('reset', `TLS with ${peer.address} failed: ${error.message}`, cause);
}

/** The server does not know the transport that we asked for. */
export function alpnMismatch({ address }: TlsPeer, cause?: Error): ConnectError {
  return new ConnectError(
    'protocol_mismatch',
    `the server at ${address} does not speak the protocol that was offered (ALPN)`,
    { cause },
  );
}

/** The connection ended before the server had said anything. */
export function closedEarly({ address }: TlsPeer, cause?: Error): ConnectError {
  return new ConnectError(
    'reset',
    `the server at ${address} closed the connection before it said anything; ` +
      'some servers do so when they refuse our certificate',
    { cause },
  );
}

function verificationError(
  error: NodeJS.ErrnoException,
  { address, name }: TlsPeer,
  certificate: PeerCertificate | undefined,
): ConnectError {
  const dates = certificate && { from: certificate.valid_from, to: certificate.valid_to };
  const verdict =
    explainVerdict(error.code ?? '', dates, 'the clock of this machine') ??
    `${error.message} (${error.code})`;
  const shown = certificate === undefined ? '' : `; it shows ${describe(certificate)}`;
  return new ConnectError(
    'server_certificate',
    `the certificate of the server at ${address} was refused for "${name}": ${verdict}${shown}`,
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
