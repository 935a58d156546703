import { Gauge, type Registry } from 'prom-client';
import type { Logger } from '../process/logger.ts';
import type { NamedFile } from './pem-file.ts';

/** When the first certificate of a file expires. */
export interface FileExpiry extends NamedFile {
  readonly notAfter: Date;
  /** How long before the expiry to warn; default 30 days. */
  readonly warnMs?: number;
}

const dayMs = 86_400_000;
const defaultWarnMs = 30 * dayMs;

/** Reports when certificates expire: as a metric, and daily in the log before and after the expiry. */
export class CertificateExpiry {
  readonly #logger: Logger;
  #timer: NodeJS.Timeout | undefined;
  readonly #expiryByFlag = new Map<string, FileExpiry>();

  /** @param options.metricPrefix `fairlead_server_` */
  constructor({
    logger,
    registry,
    metricPrefix,
  }: {
    readonly logger: Logger;
    readonly registry: Registry;
    readonly metricPrefix: string;
  }) {
    this.#logger = logger;
    const expiries = this.#expiryByFlag;
    new Gauge({
      name: `${metricPrefix}certificate_expiry_seconds`,
      help: 'Time until the first certificate of a file expires, by flag; negative after the expiry',
      labelNames: ['flag'],
      aggregator: 'min',
      registers: [registry],
      collect() {
        for (const { flag, notAfter } of expiries.values()) {
          this.set({ flag }, (notAfter.getTime() - Date.now()) / 1000);
        }
      },
    });
  }

  /** Replaces what is known of these flags' files. Call it after each load. */
  update(files: readonly FileExpiry[]): void {
    this.#timer ??= setInterval(() => {
      for (const expiry of this.#expiryByFlag.values()) this.#warn(expiry);
    }, dayMs).unref();
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
      leftMs <= 0 ? 'certificate has expired, renew it' : 'certificate expires soon, renew it',
    );
  }
}
