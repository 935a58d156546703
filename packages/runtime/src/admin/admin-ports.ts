import type { AddressInfo } from 'node:net';
import type { ListenerAddress } from '../net/listen.ts';
import type { Logger } from '../process/logger.ts';
import { type AdminRoutes, HttpAdmin, healthRoutes, metricsRoutes } from './http-admin.ts';

export interface AdminPortsOptions {
  readonly health: Omit<ListenerAddress, 'listener'>;
  readonly admin: Omit<ListenerAddress, 'listener'>;
  readonly registry: Parameters<typeof metricsRoutes>[0];
  readonly notReadyReason: Parameters<typeof healthRoutes>[0];
  readonly notReadyStatus: Parameters<typeof healthRoutes>[1];
  /** What the admin port answers beside `/metrics`. */
  readonly reports: AdminRoutes;
}

/** The health port and the admin port of a server or an agent. */
export class AdminPorts {
  readonly #options: AdminPortsOptions;
  readonly #health: HttpAdmin;
  readonly #admin: HttpAdmin;

  constructor(options: AdminPortsOptions, logger: Logger) {
    const { registry, notReadyReason, notReadyStatus, reports } = options;
    const metrics = metricsRoutes(registry);
    this.#options = options;
    this.#health = new HttpAdmin(
      { ...healthRoutes(notReadyReason, notReadyStatus), ...metrics },
      logger,
    );
    this.#admin = new HttpAdmin({ ...metrics, ...reports }, logger);
  }

  /** @returns the addresses of both ports @throws StartupError if a port cannot be bound */
  async listen(): Promise<{ readonly health: AddressInfo; readonly admin: AddressInfo }> {
    const { health, admin } = this.#options;
    return {
      health: await this.#health.listen({ ...health, listener: 'health' }),
      admin: await this.#admin.listen({ ...admin, listener: 'admin' }),
    };
  }

  async close(): Promise<void> {
    await Promise.all([this.#health.close(), this.#admin.close()]);
  }
}
