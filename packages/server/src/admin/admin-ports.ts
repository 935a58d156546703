import { type AdminRoutes, HttpAdmin, healthRoutes, metricsRoutes } from '@fairlead/runtime/admin';
import type { ListenerAddress } from '@fairlead/runtime/net';
import type { Logger } from '@fairlead/runtime/process';
import type { ServerOptions } from '../options.ts';

/** The health and admin ports, of a server and of the primary of several workers. */
export class AdminPorts {
  readonly #health: HttpAdmin;
  readonly #admin: HttpAdmin;
  readonly #options: ServerOptions;

  constructor(
    options: ServerOptions,
    logger: Logger,
    whyNotReady: Parameters<typeof healthRoutes>[0],
    metrics: Parameters<typeof metricsRoutes>[0],
    reports: AdminRoutes,
  ) {
    this.#options = options;
    this.#health = new HttpAdmin(
      { ...healthRoutes(whyNotReady, 500), ...metricsRoutes(metrics) },
      logger,
    );
    this.#admin = new HttpAdmin({ ...metricsRoutes(metrics), ...reports }, logger);
  }

  /** @throws StartupError */
  async listen() {
    const { healthPort, healthBindAddress, adminPort, adminBindAddress } = this.#options;
    const place = (listener: string, port: number, host: string | undefined): ListenerAddress => ({
      listener,
      flag: `--${listener}-port`,
      port,
      host,
    });
    return {
      health: await this.#health.listen(place('health', healthPort, healthBindAddress)),
      admin: await this.#admin.listen(place('admin', adminPort, adminBindAddress)),
    };
  }

  async close(): Promise<void> {
    await Promise.all([this.#health.close(), this.#admin.close()]);
  }
}
