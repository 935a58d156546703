import { isIP } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect, type PeerCertificate, type SecureContextOptions, type TLSSocket } from 'node:tls';
import { formatTarget, type Target } from '@fairlead/protocol';
import type { ConnectAttempt } from './connect-attempt.ts';
import type { ConnectError } from './connect-error.ts';
import { connectThroughProxy } from './proxy/proxy-connect.ts';
import { alpnMismatch, closedEarly, fromTlsError, type TlsPeer } from './tls-error.ts';
import { TlsSessionCache } from './tls-session-cache.ts';

/** Certificates, versions and ciphers towards a server. TLS 1.3 unless `minVersion` says else. */
export interface TunnelTlsOptions extends SecureContextOptions {
  /** The name or IP address that the server's certificate must be for, if not the dialled one. */
  readonly serverName?: string | undefined;
}

/** A TLS connection whose server was verified. */
export interface SecureConnection {
  readonly socket: TLSSocket;
  readonly peer: TlsPeer;
  /** Explains an error that the socket reports later. */
  explain(error: Error): ConnectError;
}

/**
 * Opens TLS to a server, through the attempt's proxy if there is one.
 * @param protocols ALPN, in order of preference
 * @throws ConnectError; `protocol_mismatch` when the server chose none of `protocols`, except that
 *   no choice at all stands for `http/1.1`, as RFC 7301 found it
 */
export async function openServerConnection(
  attempt: ConnectAttempt,
  endpoint: Target,
  tls: TunnelTlsOptions,
  protocol: string,
): Promise<SecureConnection> {
  const socket = attempt.proxy
    ? await connectThroughProxy(attempt, attempt.proxy, endpoint)
    : await attempt.dial(endpoint);
  const { serverName, ...credentials } = tls;
  const connection = await startTls(attempt, socket, {
    endpoint,
    serverName: serverName ?? attempt.serverName,
    context: { minVersion: 'TLSv1.3', ...credentials },
    sessions: TlsSessionCache.for(tls),
    protocols: [protocol],
  });
  const chosen = connection.socket.alpnProtocol || 'http/1.1';
  if (chosen !== protocol) throw alpnMismatch(connection.peer);
  return connection;
}

export interface StartTlsOptions {
  readonly endpoint: Target;
  readonly serverName?: string | undefined;
  readonly context: SecureContextOptions;
  readonly sessions?: TlsSessionCache | undefined;
  /** ALPN, in order of preference. */
  readonly protocols: readonly string[];
  /**
   * Set only to fetch what is then checked in another way, on a connection that carries no secret: the
   * server may be anyone.
   */
  readonly isUnverified?: boolean;
}

/** Makes a connection a TLS connection and verifies its server. */
export async function startTls(
  attempt: ConnectAttempt,
  socket: Duplex,
  options: StartTlsOptions,
): Promise<SecureConnection> {
  const { endpoint, sessions } = options;
  const peer = { address: formatTarget(endpoint), name: options.serverName ?? endpoint.host };
  attempt.begin(`waiting for the TLS handshake with ${peer.address}`);
  const sessionKey = { address: peer.address, group: `${peer.name} ${options.protocols.join()}` };
  const secured = attempt.own(
    connect({
      ...options.context,
      socket,
      // Whatever NODE_TLS_REJECT_UNAUTHORIZED says.
      rejectUnauthorized: options.isUnverified !== true,
      // What is verified; SNI (RFC 6066 section 3) knows names only.
      host: peer.name,
      servername: isIP(peer.name) === 0 ? peer.name : '',
      ALPNProtocols: [...options.protocols],
      session: sessions?.take(sessionKey),
    }),
  );
  if (sessions) secured.on('session', (session) => sessions.put(sessionKey, session));
  const certificate = seenCertificate(secured);
  const explain = (error: Error): ConnectError => fromTlsError(error, secured, peer, certificate());
  await new Promise<void>((resolve, reject) => {
    secured.once('secureConnect', resolve);
    secured.once('error', (error) => reject(explain(error)));
    secured.once('close', () => reject(closedEarly(peer)));
  });
  return { socket: secured, peer, explain };
}

/**
 * Remembers the certificate from before Node verifies it, since a refusal closes the socket and
 * the certificate is gone when the error arrives. Only the text of that error needs it.
 *
 * Not by getPeerX509Certificate: in Node 20 getPeerCertificate knows no alternative names after that,
 * and Node itself verifies with it.
 */
function seenCertificate(socket: TLSSocket): () => PeerCertificate | undefined {
  let certificate: PeerCertificate | undefined;
  socket.prependOnceListener('secure', () => {
    certificate = socket.getPeerCertificate();
  });
  return () => certificate;
}
