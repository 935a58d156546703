import { AggregatorRegistry, type PrometheusContentType, Registry } from 'prom-client';

/** A metric as prom-client's `getMetricsAsJSON` returns it. */
export interface MetricObject {
  readonly name: string;
  readonly help: string;
  readonly type: unknown;
  /** How values of several processes are combined. */
  readonly aggregator: string;
  readonly values: readonly object[];
}

/**
 * Combines the metrics of all workers into those of one server. The counts of a worker that has ended are kept:
 * Prometheus would read a decrease as a restart from zero, and count the sum of all workers again.
 */
export class MergedMetrics {
  readonly #ownRegistry: Registry;
  readonly #latestByWorker = new Map<number, readonly MetricObject[]>();
  /** Sums of the workers that have ended. */
  #retired: Promise<readonly MetricObject[]> = Promise.resolve([]);

  constructor(ownRegistry: Registry) {
    this.#ownRegistry = ownRegistry;
  }

  /** Replaces the metrics of a running worker. */
  update(worker: number, metrics: readonly MetricObject[]): void {
    this.#latestByWorker.set(worker, metrics);
  }

  /** A worker has ended: keeps its counters and histograms, removes its gauges. */
  retire(worker: number): void {
    const latest = this.#latestByWorker.get(worker);
    this.#latestByWorker.delete(worker);
    if (!latest) return;
    const counts = latest.filter(({ type }) => type === 'counter' || type === 'histogram');
    this.#retired = this.#retired.then(async (before) => {
      const merged = await merge([before, counts]).getMetricsAsJSON();
      return merged as unknown as readonly MetricObject[];
    });
  }

  readonly contentType = Registry.PROMETHEUS_CONTENT_TYPE;

  /** In Prometheus' text format. */
  async metrics(): Promise<string> {
    const own = (await this.#ownRegistry.getMetricsAsJSON()) as unknown as MetricObject[];
    return merge([own, ...this.#latestByWorker.values(), await this.#retired]).metrics();
  }
}

function merge(all: readonly (readonly MetricObject[])[]): Registry<PrometheusContentType> {
  return AggregatorRegistry.aggregate([...all]);
}
