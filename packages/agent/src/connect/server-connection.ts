import type { SecureContextOptions } from 'node:tls';
import type { Target } from '@fairlead/protocol';
import type { ConnectAttempt } from './connect-attempt.ts';
import { openSocket } from './proxy/proxy-connect.ts';
import { type SecureConnection, startTls } from './start-tls.ts';
import { alpnMismatch } from './tls-error.ts';
import { TlsSessionCache } from './tls-session-cache.ts';

/** Certificates, versions and ciphers for connections to servers. The default `minVersion` is TLS 1.3. */
export interface TunnelTlsOptions extends SecureContextOptions {
  /** The name or IP address that the server's certificate must be for; default: the dialed one. */
  readonly serverName?: string | undefined;
}

/**
 * Opens TLS to a server, through the attempt's proxy if it has one.
 * @param protocol ALPN
 * @throws ConnectError; `protocol_mismatch` if the server does not choose `protocol`. A server without
 *   ALPN counts as choosing `http/1.1` (RFC 7301).
 */
export async function openServerConnection(
  attempt: ConnectAttempt,
  endpoint: Target,
  tls: TunnelTlsOptions,
  protocol: string,
): Promise<SecureConnection> {
  const { serverName, ...credentials } = tls;
  const connection = await startTls(attempt, await openSocket(attempt, endpoint), {
    endpoint,
    serverName: serverName ?? attempt.options.serverName,
    context: { minVersion: 'TLSv1.3', ...credentials },
    sessions: TlsSessionCache.for(tls),
    protocols: [protocol],
    missingCaFlag: credentials.ca === undefined ? '--ca-cert' : undefined,
  });
  const chosen = connection.socket.alpnProtocol || 'http/1.1';
  if (chosen !== protocol) throw alpnMismatch(connection.peer);
  return connection;
}
