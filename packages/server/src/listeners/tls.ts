import { createHash } from 'node:crypto';
import { loadTlsFiles, type TlsFiles, type TlsFilesSpec } from '@fairlead/runtime/tls';
import { makeTicketKeys } from '../agents/session-ticket-keys.ts';
import type { ServerOptions } from '../options.ts';

/**
 * Reads the TLS files of a port, and binds TLS sessions to the CAs in use. A resumed session does not verify the
 * client's certificate again, so a session may be resumed only under the CAs under which it began: after a CA is
 * removed, its clients cannot resume either.
 * @param ticketSecret returns what several processes share for their session tickets
 * @throws UsageError that names the flag, the file and the cure
 */
export function loadPortTls(
  { cipherSuites, tlsMinVersion: minVersion }: ServerOptions,
  port: 'agent port' | 'front end',
  spec: Pick<TlsFilesSpec, 'identity' | 'ca' | 'inUse'>,
  ticketSecret: () => Uint8Array | undefined,
): TlsFiles {
  const files = loadTlsFiles({ cipherSuites, minVersion, ...spec });
  const { ca } = files.context;
  const sessionIdContext = createHash('sha256').update(String(ca)).digest('hex').slice(0, 32);
  const secret = ticketSecret();
  const ticketKeys = secret && makeTicketKeys(secret, port, ca);
  const resumption = { sessionIdContext, ...(ticketKeys && { ticketKeys }) };
  return { ...files, context: { ...files.context, ...resumption } };
}

/** The certificate of a port with its key. */
export function certificateOf(
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
