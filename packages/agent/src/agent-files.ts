import { FileReloader, type Logger } from '@fairlead/runtime/process';
import {
  CertificateExpiry,
  type FileExpiry,
  loadTlsFiles,
  namedFile,
  type TlsFiles,
} from '@fairlead/runtime/tls';
import type { Registry } from 'prom-client';
import type { TunnelTlsOptions } from './connect/server-connection.ts';
import type { AgentIdentity } from './identity/agent-identity.ts';
import type { AgentOptions } from './options.ts';
import { readPolicy } from './streams/read-policy.ts';
import type { TargetPolicy } from './streams/target-policy.ts';

/** Reads certificates and policy, and reads them again when their files change. */
export class AgentFiles {
  /** The agent's own ports, which the policy denies. Filled when they are bound. */
  readonly ownPorts = new Set<number>();
  policy: TargetPolicy;
  /**
   * For connections to servers: the same object until the files change, because TLS sessions are kept per object;
   * empty before `watchCertificates`.
   */
  tls: TunnelTlsOptions = {};
  readonly #options: AgentOptions;
  readonly #logger: Logger;
  readonly #expiry: CertificateExpiry;
  readonly #reloader: FileReloader;
  #identity: AgentIdentity | undefined;
  #loaded: TlsFiles | undefined;

  /** @throws UsageError for a policy file that cannot be used */
  constructor(options: AgentOptions, logger: Logger, registry: Registry) {
    this.#options = options;
    this.#logger = logger;
    this.policy = readPolicy(options, this.ownPorts);
    const shared = { logger, registry, metricPrefix: 'fairlead_agent_' };
    this.#expiry = new CertificateExpiry(shared);
    this.#reloader = new FileReloader({ ...shared, intervalMs: options.reloadInterval });
  }

  /** Watches the policy file, which is already in use. */
  watchPolicy(): void {
    const { policyFile } = this.#options;
    if (policyFile === undefined) return;
    const reload = () => {
      this.policy = readPolicy(this.#options, this.ownPorts);
    };
    this.#reloader.add({ name: 'policy', paths: [policyFile], reload });
  }

  /**
   * Loads the certificates for the first time and watches their files.
   * @param identity of an agent that gets its certificate by itself
   * @throws UsageError
   */
  watchCertificates(identity: AgentIdentity | undefined): void {
    this.#identity = identity;
    const paths = this.#loadCertificates();
    if (paths.length === 0) return;
    this.#reloader.add({ name: 'certificates', paths, reload: () => this.#loadCertificates() });
  }

  check(): void {
    this.#reloader.check();
  }

  close(): void {
    this.#reloader.close();
    this.#expiry.close();
  }

  /**
   * Reads the certificates for the next connections. Open tunnels are not affected.
   * @returns the paths of the files
   * @throws UsageError that names flag, file and cure; then the earlier files stay in use
   */
  #loadCertificates(): readonly string[] {
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
    this.tls = { ...loaded.context, serverName };
    for (const warning of loaded.warnings) this.#logger.warn(warning);
    this.#expiry.update(loaded.expiries.map((file) => this.#withWarnMs(file)));
    const files = [cert, key, ca].filter((file) => file !== undefined);
    return [...new Set(files.map(({ path }) => path))];
  }

  /** Warns later about the certificate that the agent renews by itself. */
  #withWarnMs(file: FileExpiry): FileExpiry {
    const identity = this.#identity;
    return identity?.files.cert.path === file.path ? { ...file, warnMs: identity.warnMs } : file;
  }
}
