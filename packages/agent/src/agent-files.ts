import { FileReloader, type Logger } from '@fairlead/runtime/process';
import { CertificateExpiry } from '@fairlead/runtime/tls';
import type { Registry } from 'prom-client';
import type { Credentials } from './connect/credentials.ts';
import type { AgentOptions } from './options.ts';
import type { PolicySource } from './streams/policy-source.ts';

/** Reads certificates and policy, and reads them again when their files change. */
export class AgentFiles {
  readonly #options: AgentOptions;
  readonly #logger: Logger;
  readonly #credentials: Credentials;
  readonly #policies: PolicySource;
  readonly #expiry: CertificateExpiry;
  readonly #reloader: FileReloader;

  constructor(
    options: AgentOptions,
    logger: Logger,
    registry: Registry,
    credentials: Credentials,
    policies: PolicySource,
  ) {
    this.#options = options;
    this.#logger = logger;
    this.#credentials = credentials;
    this.#policies = policies;
    const metricPrefix = 'fairlead_agent_';
    this.#expiry = new CertificateExpiry({ logger, registry, metricPrefix });
    const intervalMs = options.reloadInterval;
    this.#reloader = new FileReloader({ logger, intervalMs, registry, metricPrefix });
  }

  /** Watches the policy file, which is already in use. */
  watchPolicy(): void {
    const { policyFile } = this.#options;
    if (policyFile === undefined) return;
    const reload = () => this.#policies.reload();
    this.#reloader.add({ name: 'policy', paths: [policyFile], reload });
  }

  /** Loads the certificates for the first time and watches their files. @throws UsageError */
  watchCertificates(): void {
    const paths = this.#loadCertificates();
    if (paths.length === 0) return;
    this.#reloader.add({ name: 'certificates', paths, reload: () => this.#loadCertificates() });
  }

  /** Reads changed files now. */
  check(): void {
    this.#reloader.check();
  }

  close(): void {
    this.#reloader.close();
    this.#expiry.close();
  }

  #loadCertificates(): readonly string[] {
    const { paths, warnings, expiries } = this.#credentials.load();
    for (const warning of warnings) this.#logger.warn(warning);
    this.#expiry.update(expiries);
    return paths;
  }
}
