import { Counter, Histogram, type Registry } from 'prom-client';
import type { LeaseRequestKind, LeaseRequestObserver } from './lease-api.ts';

/** Konnectivity's: 5 ms to 30 s. */
const buckets = [0.005, 0.025, 0.1, 0.5, 2.5, 10, 30];

/** Names and helps of metrics, by what they count. */
type Named = Readonly<Partial<Record<LeaseRequestKind, string>>>;

/**
 * Metrics of requests about Leases, under Konnectivity's names, which differ between server and agent.
 * @returns what to tell of each request
 */
export function leaseMetrics(
  registry: Registry,
  { totals, latencies }: { readonly totals: Named; readonly latencies: Named },
): LeaseRequestObserver {
  const counters = new Map<string, Counter>();
  for (const [kind, name] of Object.entries(totals)) {
    counters.set(
      kind,
      new Counter({
        name,
        help: `Requests to ${kind} Leases, by what the Kubernetes API answered; code 0 is no answer`,
        labelNames: ['http_response_code', 'reason'],
        registers: [registry],
      }),
    );
  }
  const histograms = new Map<string, Histogram>();
  for (const [kind, name] of Object.entries(latencies)) {
    histograms.set(
      kind,
      new Histogram({
        name,
        help: `Time to ${kind} Leases`,
        labelNames: ['http_response_code'],
        buckets,
        registers: [registry],
      }),
    );
  }
  return (kind, { status, reason, durationMs }) => {
    counters.get(kind)?.inc({ http_response_code: status, reason });
    histograms.get(kind)?.observe({ http_response_code: status }, durationMs / 1_000);
  };
}
