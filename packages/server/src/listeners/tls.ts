import { createHash } from 'node:crypto';
import {
  loadTlsFiles,
  type NamedFile,
  type TlsFiles,
  type TlsFilesSpec,
} from '@fairlead/runtime/tls';
import { makeTicketKeys, readTicketSecret } from '../agents/session-ticket-keys.ts';
import type { ServerOptions } from '../options.ts';

/** TLS of one port. */
export type PortTls = TlsFiles;

/**
 * Reads the TLS files of the agent port.
 * @param workersSecret what the workers of a server share for their tickets, unless a file says else
 * @param inUse what these files are to replace
 * @throws UsageError that names flag, file and cure
 */
export function loadAgentPortTls(
  options: ServerOptions,
  workersSecret?: Uint8Array,
  inUse?: PortTls,
): PortTls {
  const tls = portTls(
    loadTlsFiles({
      ...versions(options),
      identity: identity('cluster', options.clusterCert, options.clusterKey),
      ca: named('--cluster-ca-cert', options.clusterCaCert),
      inUse,
    }),
  );
  const file = named('--tls-ticket-key-file', options.tlsTicketKeyFile);
  return withTickets(tls, 'agent port', file ? readTicketSecret(file) : workersSecret);
}

/**
 * Reads the TLS files of the front end over TCP; undefined when it has no certificate.
 * @param workersSecret what the workers of a server share for their tickets
 * @param inUse what these files are to replace
 * @throws UsageError that names flag, file and cure
 */
export function loadFrontEndTls(
  options: ServerOptions,
  workersSecret?: Uint8Array,
  inUse?: PortTls,
): PortTls | undefined {
  const shown = identity('server', options.serverCert, options.serverKey);
  if (!shown) return undefined;
  const ca = named('--server-ca-cert', options.serverCaCert);
  const tls = portTls(loadTlsFiles({ ...versions(options), identity: shown, ca, inUse }));
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
function portTls(files: TlsFiles): PortTls {
  const { context } = files;
  const sessionIdContext = createHash('sha256')
    .update(String(context.ca))
    .digest('hex')
    .slice(0, 32);
  return { ...files, context: { ...context, sessionIdContext } };
}

const versions = ({ cipherSuites, tlsMinVersion }: ServerOptions) => ({
  cipherSuites,
  minVersion: tlsMinVersion,
});

function identity(
  name: 'server' | 'cluster',
  cert: string | undefined,
  key: string | undefined,
): TlsFilesSpec['identity'] {
  if (cert === undefined || key === undefined) return undefined;
  return {
    cert: { flag: `--${name}-cert`, path: cert },
    key: { flag: `--${name}-key`, path: key },
    purpose: 'server',
  };
}

function named(flag: string, path: string | undefined): NamedFile | undefined {
  return path === undefined ? undefined : { flag, path };
}
