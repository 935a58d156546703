import { type FileExpiry, loadTlsFiles, namedFile, type TlsFiles } from '@fairlead/runtime/tls';
import type { AgentIdentity } from '../identity/agent-identity.ts';
import type { AgentOptions } from '../options.ts';
import type { TunnelTlsOptions } from './server-connection.ts';

/** The TLS options for connections to servers, read from files that can change. */
export class Credentials {
  readonly #options: AgentOptions;
  readonly #identity: AgentIdentity | undefined;
  #loaded: TlsFiles | undefined;
  #tls: TunnelTlsOptions = {};

  /** @param identity of an agent that gets its certificate by itself */
  constructor(options: AgentOptions, identity: AgentIdentity | undefined) {
    this.#options = options;
    this.#identity = identity;
  }

  /** The same object until the next `load`, because TLS sessions are kept per object; empty before the first. */
  get tls(): TunnelTlsOptions {
    return this.#tls;
  }

  /**
   * Reads the files, for the next connections. Open tunnels are not affected.
   * @returns the files' paths, when their certificates expire, and one line for each expired certificate
   * @throws UsageError that names flag, file and cure; then the earlier files stay in use
   */
  load() {
    const { agentCert, agentKey, caCert, cipherSuites, tlsMinVersion, serverName } = this.#options;
    const { cert, key, ca } = this.#identity?.files ?? {
      cert: namedFile('--agent-cert', agentCert),
      key: namedFile('--agent-key', agentKey),
      ca: namedFile('--ca-cert', caCert),
    };
    const loaded = loadTlsFiles({
      identity: cert && key && { cert, key, purpose: 'client' },
      ca,
      cipherSuites,
      minVersion: tlsMinVersion,
      inUse: this.#loaded,
    });
    this.#loaded = loaded;
    this.#tls = { ...loaded.context, serverName };
    const files = [cert, key, ca].filter((file) => file !== undefined);
    return {
      paths: [...new Set(files.map(({ path }) => path))],
      warnings: loaded.warnings,
      expiries: loaded.expiries.map((file) => this.#withWarnMs(file)),
    };
  }

  /** Warns later about the certificate that the agent renews by itself. */
  #withWarnMs(file: FileExpiry): FileExpiry {
    const identity = this.#identity;
    return identity?.files.cert.path === file.path ? { ...file, warnMs: identity.warnMs } : file;
  }
}
