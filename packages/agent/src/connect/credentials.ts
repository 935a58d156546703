import { loadTlsFiles, type TlsFiles } from '@fairlead/runtime/tls';
import type { IdentityFiles } from '../identity/identity-store.ts';
import type { AgentOptions } from '../options.ts';
import type { TunnelTlsOptions } from './server-connection.ts';

export interface AgentTls extends Omit<TlsFiles, 'context'> {
  readonly tls: TunnelTlsOptions;
  /** Of the files that were read. */
  readonly paths: readonly string[];
}

/** The TLS files that the options name. */
function filesOf({ agentCert, agentKey, caCert }: AgentOptions): Partial<IdentityFiles> {
  return {
    ...(agentCert !== undefined && { cert: { flag: '--agent-cert', path: agentCert } }),
    ...(agentKey !== undefined && { key: { flag: '--agent-key', path: agentKey } }),
    ...(caCert !== undefined && { ca: { flag: '--ca-cert', path: caCert } }),
  };
}

/**
 * Reads the agent's TLS files.
 * @param identity the files of an agent that gets its certificate by itself
 * @param inUse what these files are to replace
 * @returns what to connect with, and warnings, one line each
 * @throws UsageError that names flag, file and cure
 */
export function loadAgentTls(
  options: AgentOptions,
  identity: IdentityFiles | undefined,
  inUse?: AgentTls,
): AgentTls {
  const { cert, key, ca } = identity ?? filesOf(options);
  const { context, ...files } = loadTlsFiles({
    identity: cert && key && { cert, key, purpose: 'client' },
    ca,
    cipherSuites: options.cipherSuites,
    minVersion: options.tlsMinVersion,
    inUse,
  });
  const paths = [cert, key, ca].filter((file) => file !== undefined).map(({ path }) => path);
  const tls = { ...context, serverName: options.serverName };
  return { ...files, tls, paths: [...new Set(paths)] };
}
