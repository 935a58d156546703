import { createHash } from 'node:crypto';
import type { SecureContextOptions } from 'node:tls';
import { type FileExpiry, loadTlsFiles, type NamedFile, type TlsFiles } from '@fairlead/runtime';
import { makeTicketKeys, readTicketSecret } from './agent-port/ticket-keys.ts';
import type { ServerOptions } from './options.ts';

/** TLS of one port. */
export interface PortTls {
  readonly context: SecureContextOptions;
  /** One line each. */
  readonly warnings: readonly string[];
  readonly expiries: readonly FileExpiry[];
}

/**
 * Reads the TLS files of the agent port.
 * @param workersSecret what the workers of a server share for their tickets, unless a file says else
 * @throws UsageError that names flag, file and cure
 */
export function loadAgentPortTls(options: ServerOptions, workersSecret?: Uint8Array): PortTls {
  const tls = portTls(
    loadTlsFiles({
      ...versions(options),
      identity: identity('cluster', options.clusterCert, options.clusterKey),
      ca: named('--cluster-ca-cert', options.clusterCaCert),
    }),
  );
  const file = named('--tls-ticket-key-file', options.tlsTicketKeyFile);
  return withTickets(tls, 'agent port', file ? readTicketSecret(file) : workersSecret);
}

/**
 * Reads the TLS files of the front end over TCP; undefined when it has no certificate.
 * @param workersSecret what the workers of a server share for their tickets
 * @throws UsageError that names flag, file and cure
 */
export function loadFrontEndTls(
  options: ServerOptions,
  workersSecret?: Uint8Array,
): PortTls | undefined {
  const shown = identity('server', options.serverCert, options.serverKey);
  if (!shown) return undefined;
  const ca = named('--server-ca-cert', options.serverCaCert);
  const tls = portTls(loadTlsFiles({ ...versions(options), identity: shown, ca }));
  return withTickets(tls, 'front end', workersSecret);
}

function withTickets(
  tls: PortTls,
  port: 'agent port' | 'front end',
  secret: Uint8Array | undefined,
): PortTls {
  if (!secret) return tls;
  const ticketKeys = makeTicketKeys(secret, port, tls.context.ca);
  return { ...tls, context: { ...tls.context, ticketKeys } };
}

/**
 * A session is resumed without another look at the client's certificate, so that only one that was
 * made under the same CAs may be: the CA's removal then ends resumption, too.
 */
function portTls({ context, warnings, expiries }: TlsFiles): PortTls {
  const sessionIdContext = createHash('sha256')
    .update(String(context.ca))
    .digest('hex')
    .slice(0, 32);
  return { context: { ...context, sessionIdContext }, warnings, expiries };
}

const versions = ({ cipherSuites, tlsMinVersion }: ServerOptions) => ({
  cipherSuites,
  minVersion: tlsMinVersion,
});

function identity(
  name: 'server' | 'cluster',
  cert: string | undefined,
  key: string | undefined,
): { cert: NamedFile; key: NamedFile } | undefined {
  if (cert === undefined || key === undefined) return undefined;
  return {
    cert: { flag: `--${name}-cert`, path: cert },
    key: { flag: `--${name}-key`, path: key },
  };
}

function named(flag: string, path: string | undefined): NamedFile | undefined {
  return path === undefined ? undefined : { flag, path };
}
