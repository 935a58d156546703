import { AggregatorRegistry, type PrometheusContentType, Registry } from 'prom-client';

/** A metric as `getMetricsAsJSON` of prom-client gives it. */
export interface MetricObject {
  readonly name: string;
  readonly help: string;
  readonly type: unknown;
  /** How values of several processes become one. */
  readonly aggregator: string;
  readonly values: readonly object[];
}

/**
 * The metrics of all workers as those of one server. What a worker had counted when it ended is kept: a
 * counter that went back would look like one that began anew, with all others' counts on top.
 */
export class MergedMetrics {
  readonly #ownRegistry: Registry;
  readonly #latestByWorker = new Map<number, readonly MetricObject[]>();
  /** Sums of the workers that are gone. */
  #retired: Promise<readonly MetricObject[]> = Promise.resolve([]);

  /** @param ownRegistry what the primary itself counts */
  constructor(ownRegistry: Registry) {
    this.#ownRegistry = ownRegistry;
  }

  /** Notes what a worker says; it stands until the worker says something new or is gone. */
  update(worker: number, metrics: readonly MetricObject[]): void {
    this.#latestByWorker.set(worker, metrics);
  }

  /** A worker has ended: its counts stay, what it held is gone. */
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
