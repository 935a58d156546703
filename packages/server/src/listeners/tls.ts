import { createHash } from 'node:crypto';
import { loadTlsFiles, namedFile, type TlsFiles, type TlsFilesSpec } from '@fairlead/runtime/tls';
import { makeTicketKeys, readTicketSecret } from '../agents/session-ticket-keys.ts';
import type { ServerOptions } from '../options.ts';

/**
 * Reads the TLS files of the agent port.
 * @param workersSecret the secret that a server's workers share for session tickets; `--tls-ticket-key-file` wins
 * @param inUse the files that these replace
 * @throws UsageError that names the flag, the file and the cure
 */
export function loadAgentPortTls(
  options: ServerOptions,
  workersSecret?: Uint8Array,
  inUse?: TlsFiles,
): TlsFiles {
  const files = loadTlsFiles({
    ...versions(options),
    identity: identity('cluster', options.clusterCert, options.clusterKey),
    ca: namedFile('--cluster-ca-cert', options.clusterCaCert),
    inUse,
  });
  const ticketKeyFile = namedFile('--tls-ticket-key-file', options.tlsTicketKeyFile);
  const secret = ticketKeyFile ? readTicketSecret(ticketKeyFile) : workersSecret;
  return withResumption(files, 'agent port', secret);
}

/**
 * Reads the TLS files of the front end over TCP; undefined if it has no certificate.
 * @param workersSecret the secret that a server's workers share for session tickets
 * @param inUse the files that these replace
 * @throws UsageError that names the flag, the file and the cure
 */
export function loadFrontEndTls(
  options: ServerOptions,
  workersSecret?: Uint8Array,
  inUse?: TlsFiles,
): TlsFiles | undefined {
  const certificate = identity('server', options.serverCert, options.serverKey);
  if (!certificate) return undefined;
  const ca = namedFile('--server-ca-cert', options.serverCaCert);
  const files = loadTlsFiles({ ...versions(options), identity: certificate, ca, inUse });
  return withResumption(files, 'front end', workersSecret);
}

/**
 * Binds TLS sessions to the CAs in use. A resumed session does not verify the client's certificate again, so a session
 * may be resumed only under the CAs under which it began: after a CA is removed, its clients cannot resume either.
 */
function withResumption(
  files: TlsFiles,
  port: 'agent port' | 'front end',
  secret: Uint8Array | undefined,
): TlsFiles {
  const { ca } = files.context;
  const sessionIdContext = createHash('sha256').update(String(ca)).digest('hex').slice(0, 32);
  const ticketKeys = secret && makeTicketKeys(secret, port, ca);
  const resumption = { sessionIdContext, ...(ticketKeys && { ticketKeys }) };
  return { ...files, context: { ...files.context, ...resumption } };
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
