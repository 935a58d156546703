import type { AddressInfo } from 'node:net';
import { HttpAdmin, healthRoutes, metricsRoutes } from '@fairlead/runtime/admin';
import { completeOptions } from '@fairlead/runtime/options';
import type { Logger } from '@fairlead/runtime/process';
import { IssuerFiles } from './issuer-files.ts';
import { IssuerMetrics } from './metrics.ts';
import { type IssuerOptions, issuerOptions } from './options.ts';
import { EnrollmentListener } from './port/enrollment-listener.ts';
import { Enrollments } from './port/enrollments.ts';
import { openTokenStore } from './tokens/open-token-store.ts';
import { TokenCleaner } from './tokens/token-cleaner.ts';

export interface FairleadIssuer {
  readonly addresses: { readonly enrollment: AddressInfo; readonly health: AddressInfo };
  /** Accepts no more connections, completes the open requests, then closes. */
  drain(): Promise<void>;
  /** Checks its files now; it also does so by itself when they change. */
  reload(): void;
  close(): Promise<void>;
}

/**
 * Starts an issuer.
 *
 * @param given options by their camelCase names; omitted options have their defaults
 * @throws UsageError for invalid options and files, StartupError for ports that cannot be opened
 */
export async function createIssuer(
  given: Partial<IssuerOptions>,
  logger: Logger,
): Promise<FairleadIssuer> {
  const options = completeOptions(issuerOptions, given);
  const files = new IssuerFiles(options);
  const store = await openTokenStore(options, (detail) =>
    logger.warn({ detail }, 'cannot read a part of the token store'),
  );
  const metrics = new IssuerMetrics();
  const enrollments = new Enrollments({
    store,
    files,
    lifetimeMs: options.certificateLifetime,
    logger,
    metrics,
  });
  const listener = new EnrollmentListener({ options, files, enrollments, logger, metrics });
  const health = new HttpAdmin(
    { ...healthRoutes(() => undefined, 503), ...metricsRoutes(metrics.registry) },
    logger,
  );
  const cleaner = new TokenCleaner(store, logger);

  const closeRest = async () => {
    cleaner.close();
    files.close();
    store.close();
    await health.close();
  };
  const close = async () => {
    listener.destroyAll();
    await closeRest();
  };
  const drain = async () => {
    await listener.drain();
    await closeRest();
  };

  try {
    files.start({ logger, registry: metrics.registry, onCredentials: listener.setCredentials });
    const addresses = {
      enrollment: await listener.listen(),
      health: await health.listen({
        listener: 'health',
        flag: '--health-port',
        port: options.healthPort,
        host: options.healthBindAddress,
      }),
    };
    await cleaner.start();
    return { addresses, drain, close, reload: () => files.check() };
  } catch (error) {
    await close();
    throw error;
  }
}
