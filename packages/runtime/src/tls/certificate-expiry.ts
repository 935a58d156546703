import { Gauge, type Registry } from 'prom-client';
import type { Logger } from '../process/logger.ts';
import type { NamedFile } from './pem-file.ts';

/** When the first certificate of a file ends. */
export interface FileExpiry extends NamedFile {
  readonly notAfter: Date;
  /** How long before that it is worth a warning; default 30 days. */
  readonly warnMs?: number;
}

export interface CertificateExpiryOptions {
  readonly logger: Logger;
  readonly registry: Registry;
  /** Of the metric's name: `fairlead_server_`. */
  readonly metricPrefix: string;
}

const dayMs = 86_400_000;
const defaultWarnMs = 30 * dayMs;

/** Tells when certificates end: as a metric, and daily in the log from some time before. */
export class CertificateExpiry {
  readonly #logger: Logger;
  readonly #timer: NodeJS.Timeout;
  readonly #expiryByFlag = new Map<string, FileExpiry>();

  constructor({ logger, registry, metricPrefix }: CertificateExpiryOptions) {
    this.#logger = logger;
    const expiries = this.#expiryByFlag;
    new Gauge({
      name: `${metricPrefix}certificate_expiry_seconds`,
      help: 'Time until the first certificate of a file ends, by flag; negative when it has ended',
      labelNames: ['flag'],
      aggregator: 'min',
      registers: [registry],
      collect() {
        for (const { flag, notAfter } of expiries.values()) {
          this.set({ flag }, (notAfter.getTime() - Date.now()) / 1000);
        }
      },
    });
    this.#timer = setInterval(() => {
      for (const expiry of expiries.values()) this.#warn(expiry);
    }, dayMs).unref();
  }

  /** Notes files that have just been put to use. */
  update(files: readonly FileExpiry[]): void {
    for (const file of files) {
      this.#expiryByFlag.set(file.flag, file);
      this.#warn(file);
    }
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #warn({ flag, path, notAfter, warnMs = defaultWarnMs }: FileExpiry): void {
    const leftMs = notAfter.getTime() - Date.now();
    if (leftMs >= warnMs) return;
    const daysLeft = Math.floor(leftMs / dayMs);
    this.#logger.warn(
      { flag, path, notAfter, daysLeft },
      leftMs <= 0 ? 'a certificate has ended; renew it' : 'a certificate ends soon; renew it',
    );
  }
}
