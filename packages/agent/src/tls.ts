import { loadTlsFiles, type TlsFiles } from '@fairlead/runtime';
import type { AgentOptions } from './options.ts';
import type { TunnelTlsOptions } from './secure-socket.ts';

/**
 * Reads the agent's TLS files.
 * @returns what to connect with, and warnings, one line each
 * @throws UsageError that names flag, file and cure
 */
export function loadAgentTls(options: AgentOptions): {
  readonly tls: TunnelTlsOptions;
} & Pick<TlsFiles, 'warnings' | 'expiries'> {
  const { agentCert, agentKey, caCert } = options;
  const { context, warnings, expiries } = loadTlsFiles({
    identity:
      agentCert !== undefined && agentKey !== undefined
        ? {
            cert: { flag: '--agent-cert', path: agentCert },
            key: { flag: '--agent-key', path: agentKey },
          }
        : undefined,
    ca: caCert === undefined ? undefined : { flag: '--ca-cert', path: caCert },
    cipherSuites: options.cipherSuites,
    minVersion: options.tlsMinVersion,
  });
  return { tls: { ...context, serverName: options.serverName }, warnings, expiries };
}
