import { Counter, Histogram, type Registry } from 'prom-client';
import type { LeaseRequestKind, LeaseRequestObserver } from './lease-api.ts';

/** In seconds; Konnectivity's own. */
const buckets = [0.005, 0.025, 0.1, 0.5, 2.5, 10, 30];

/** Names of metrics by the kind of request. */
type MetricNames = Readonly<Partial<Record<LeaseRequestKind, string>>>;

/**
 * Creates metrics of Lease requests under Konnectivity's names, which differ between server and agent.
 * @returns the observer for `LeaseApi`
 */
export function leaseMetrics(
  registry: Registry,
  { totals, latencies }: { readonly totals: MetricNames; readonly latencies: MetricNames },
): LeaseRequestObserver {
  const registers = [registry];
  const counters = mapEntries(totals, (kind, name) => {
    const help = `Requests to ${kind} Leases, by the API's HTTP status; 0 means no answer`;
    const labelNames = ['http_response_code', 'reason'];
    return new Counter({ name, help, labelNames, registers });
  });
  const histograms = mapEntries(latencies, (kind, name) => {
    const labelNames = ['http_response_code'];
    return new Histogram({ name, help: `Time to ${kind} Leases`, labelNames, buckets, registers });
  });
  return (kind, { status, reason, durationMs }) => {
    counters.get(kind)?.inc({ http_response_code: status, reason });
    histograms.get(kind)?.observe({ http_response_code: status }, durationMs / 1_000);
  };
}

const mapEntries = <T>(names: MetricNames, make: (kind: string, name: string) => T) =>
  new Map(Object.entries(names).map(([kind, name]) => [kind, make(kind, name)]));
