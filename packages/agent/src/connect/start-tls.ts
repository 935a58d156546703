import { isIP } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect, type PeerCertificate, type SecureContextOptions } from 'node:tls';
import { formatTarget, type Target } from '@fairlead/protocol';
import type { ConnectAttempt } from './connect-attempt.ts';
import type { ConnectError } from './connect-error.ts';
import { closedEarly, fromTlsError } from './tls-error.ts';
import type { TlsSessionCache } from './tls-session-cache.ts';

/** A TLS connection after the handshake. */
export type SecureConnection = Awaited<ReturnType<typeof startTls>>;

/**
 * Makes a connection a TLS connection and verifies its server.
 * @param options.serverName what the certificate must be for; default: the endpoint's host
 * @param options.protocols ALPN, in order of preference
 * @param options.missingCaFlag the flag to name if the certificate's CA is unknown
 * @param options.isUnverified accepts any certificate. Only for a connection that carries no secret, and
 *   whose answer is checked in another way.
 * @returns with `explain`, for an error that the socket reports later
 * @throws ConnectError
 */
export async function startTls(
  attempt: ConnectAttempt,
  socket: Duplex,
  options: {
    readonly endpoint: Target;
    readonly serverName?: string | undefined;
    readonly context: SecureContextOptions;
    readonly sessions?: TlsSessionCache | undefined;
    readonly protocols: readonly string[];
    readonly isUnverified?: boolean | undefined;
    readonly missingCaFlag?: string | undefined;
  },
) {
  const { endpoint, sessions, missingCaFlag } = options;
  const name = options.serverName ?? endpoint.host;
  const peer = { address: formatTarget(endpoint), name, missingCaFlag };
  attempt.begin(`waiting for the TLS handshake with ${peer.address}`);
  const sessionKey = { address: peer.address, group: `${peer.name} ${options.protocols.join()}` };
  const secured = attempt.own(
    connect({
      ...options.context,
      socket,
      // Explicit, so that NODE_TLS_REJECT_UNAUTHORIZED has no effect.
      rejectUnauthorized: options.isUnverified !== true,
      // Node verifies the certificate for `host`. SNI carries names only (RFC 6066 section 3).
      host: peer.name,
      servername: isIP(peer.name) === 0 ? peer.name : '',
      ALPNProtocols: [...options.protocols],
      session: sessions?.take(sessionKey),
    }),
  );
  if (sessions) secured.on('session', (session) => sessions.put(sessionKey, session));
  // Node closes the socket when it refuses the certificate, so the error text needs an earlier copy.
  // Not by getPeerX509Certificate: in Node 20 getPeerCertificate, with which Node itself verifies, lacks
  // the alternative names after that.
  let certificate: PeerCertificate | undefined;
  secured.prependOnceListener('secure', () => {
    certificate = secured.getPeerCertificate();
  });
  const explain = (error: Error): ConnectError => fromTlsError(error, secured, peer, certificate);
  await new Promise<void>((resolve, reject) => {
    secured.once('secureConnect', resolve);
    secured.once('error', (error) => reject(explain(error)));
    secured.once('close', () => reject(closedEarly(peer)));
  });
  return { socket: secured, peer, explain };
}
