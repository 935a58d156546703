import { FileReloader, type Logger } from '@fairlead/runtime/process';
import { AgentDenyList, CertificateExpiry, type CertificateIdentity } from '@fairlead/runtime/tls';
import type { Registry } from 'prom-client';
import { type IssuerCredentials, loadCredentials } from './credentials.ts';
import type { IssuerOptions } from './options.ts';

/** The certificates, keys and deny list of an issuer. Reloads them when the files change. */
export class IssuerFiles {
  readonly #options: IssuerOptions;
  #credentials: IssuerCredentials;
  #denyList: AgentDenyList | undefined;
  #expiry: CertificateExpiry | undefined;
  #reloader: FileReloader | undefined;

  /** @throws UsageError that names flag, file and cure */
  constructor(options: IssuerOptions) {
    this.#options = options;
    this.#credentials = loadCredentials(options);
    this.#readDenyList();
  }

  get credentials(): IssuerCredentials {
    return this.#credentials;
  }

  /** The entry of the deny list that matches a certificate, or the names of one that is requested. */
  denyEntry(
    commonName: string | undefined,
    certificate: Partial<CertificateIdentity>,
  ): string | undefined {
    return this.#denyList?.entryFor({ commonName, certificate });
  }

  /**
   * Watches the files and exports the expiry of the certificates as a metric.
   *
   * @param onCredentials called with reloaded credentials
   */
  start(to: {
    readonly logger: Logger;
    readonly registry: Registry;
    readonly onCredentials: (credentials: IssuerCredentials) => void;
  }): void {
    const { logger, registry } = to;
    const { serverCert, serverKey, caCert, issuerCert, issuerKey } = this.#options;
    const { agentDenylist, reloadInterval: intervalMs } = this.#options;
    const metricPrefix = 'fairlead_issuer_';
    const expiry = new CertificateExpiry({ logger, registry, metricPrefix });
    this.#expiry = expiry;
    const report = ({ warnings, expiries }: IssuerCredentials) => {
      for (const warning of warnings) logger.warn(warning);
      expiry.update(expiries);
    };
    report(this.#credentials);
    this.#reloader = new FileReloader({ logger, intervalMs, registry, metricPrefix });
    this.#reloader.add({
      name: 'certificates',
      paths: [serverCert, serverKey, caCert, issuerCert, issuerKey],
      reload: () => {
        this.#credentials = loadCredentials(this.#options, this.#credentials);
        to.onCredentials(this.#credentials);
        report(this.#credentials);
      },
    });
    if (agentDenylist === undefined) return;
    const reload = () => this.#readDenyList();
    this.#reloader.add({ name: 'agent deny list', paths: [agentDenylist], reload });
  }

  check(): void {
    this.#reloader?.check();
  }

  close(): void {
    this.#reloader?.close();
    this.#expiry?.close();
  }

  #readDenyList(): void {
    const { agentDenylist: path } = this.#options;
    if (path === undefined) return;
    const file = { flag: '--agent-denylist', path };
    const { list, fault } = AgentDenyList.read(file, this.#denyList);
    this.#denyList = list;
    if (fault) throw fault;
  }
}
