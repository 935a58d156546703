import type { AddressInfo } from 'node:net';
import { HttpAdmin, healthRoutes, metricsRoutes } from '@fairlead/runtime/admin';
import { completeOptions } from '@fairlead/runtime/options';
import { FileReloader, type Logger } from '@fairlead/runtime/process';
import { AgentDenyList, CertificateExpiry } from '@fairlead/runtime/tls';
import { IssuerMetrics } from './metrics.ts';
import { type IssuerOptions, issuerOptions } from './options.ts';
import { type IssuerCredentials, loadCredentials } from './port/credentials.ts';
import { EnrollmentListener } from './port/enrollment-listener.ts';
import { Enrollments } from './port/enrollments.ts';
import { RequestLimits } from './port/request-limits.ts';
import { openTokenStore } from './tokens/open-token-store.ts';
import { TokenCleaner } from './tokens/token-cleaner.ts';

/** Where an issuer listens. */
export interface IssuerAddresses {
  readonly enrollment: AddressInfo;
  readonly health: AddressInfo;
}

export interface FairleadIssuer {
  readonly addresses: IssuerAddresses;
  /** Takes no more requests, answers those that it has, then ends. */
  drain(): Promise<void>;
  /** Looks at its files now, as it does by itself when they change. */
  reload(): void;
  /** Ends at once. */
  close(): Promise<void>;
}

/**
 * Starts an issuer.
 * @param given options by their camelCase names; what is left out has its default
 * @throws UsageError for options and files that cannot work, StartupError for ports that cannot be had
 */
export async function createIssuer(
  given: Partial<IssuerOptions>,
  logger: Logger,
): Promise<FairleadIssuer> {
  const options = completeOptions(issuerOptions, given);
  let credentials = loadCredentials(options);
  const readDenyList = () =>
    options.agentDenylist === undefined
      ? undefined
      : AgentDenyList.read({ flag: '--agent-denylist', path: options.agentDenylist });
  let denyList = readDenyList();
  const store = await openTokenStore(options, (detail) =>
    logger.warn({ detail }, 'kubeconfig cannot be read again'),
  );

  const metrics: IssuerMetrics = new IssuerMetrics(() => listener.connectionCount);
  const limits = new RequestLimits(options.maxRequestsPerSecond);
  const enrollments = new Enrollments({
    store,
    authority: () => credentials.authority,
    denyEntry: (commonName, certificate) => denyList?.entryFor({ commonName, certificate }),
    lifetimeMs: options.certificateLifetime,
    logger,
    onIssued: (request) => metrics.onIssued(request),
  });
  const listener = new EnrollmentListener({
    port: options.enrollmentPort,
    host: options.enrollmentBindAddress,
    tls: credentials.tls,
    caPem: () => credentials.caPem,
    enrollments,
    limits,
    timeoutMs: options.requestTimeout,
    maxConnections: options.maxConnections,
    logger,
    onRefused: (code) => metrics.onRefused(code),
  });
  const health = new HttpAdmin(
    { ...healthRoutes(() => undefined, 503), ...metricsRoutes(metrics.registry) },
    logger,
  );

  const metricPrefix = 'fairlead_issuer_';
  const expiry = new CertificateExpiry({ logger, registry: metrics.registry, metricPrefix });
  const reloader = new FileReloader({
    logger,
    intervalMs: options.reloadInterval,
    registry: metrics.registry,
    metricPrefix,
  });
  const cleaner = new TokenCleaner(store, logger);

  const end = async () => {
    cleaner.close();
    limits.close();
    reloader.close();
    expiry.close();
    store.close();
    await health.close();
  };
  const close = async () => {
    listener.destroyAll();
    await end();
  };
  const drain = async () => {
    await listener.drain();
    await end();
  };

  try {
    tell(credentials);
    const addresses = {
      enrollment: await listener.listen(),
      health: await health.listen({
        listener: 'health',
        flag: '--health-port',
        port: options.healthPort,
        host: options.healthBindAddress,
      }),
    };
    watchFiles();
    await cleaner.start();
    return { addresses, drain, close, reload: () => reloader.check() };
  } catch (error) {
    await close();
    throw error;
  }

  function watchFiles(): void {
    const { serverCert, serverKey, caCert, issuerCert, issuerKey, agentDenylist } = options;
    const paths = [serverCert, serverKey, caCert, issuerCert, issuerKey];
    const reload = () => {
      credentials = loadCredentials(options, credentials);
      listener.setSecureContext(credentials.tls);
      tell(credentials);
    };
    reloader.add({ name: 'certificates', paths, reload });
    if (agentDenylist === undefined) return;
    const readAgain = () => {
      denyList = readDenyList();
    };
    reloader.add({ name: 'agent deny list', paths: [agentDenylist], reload: readAgain });
  }

  function tell({ warnings, expiries }: IssuerCredentials): void {
    for (const warning of warnings) logger.warn(warning);
    expiry.update(expiries);
  }
}
