import type { IncomingMessage } from 'node:http';
import type { ApiClient } from '../api/api-client.ts';
import { toApiError } from '../api/api-error.ts';
import { ObjectApi } from '../api/object-api.ts';
import { readAnswer } from '../api/read-answer.ts';
import { type Lease, leaseListSchema, leaseSchema } from './lease.ts';

/** Requests that metrics are about. */
export type LeaseRequestKind = 'list' | 'watch' | 'delete';

/** How a request went, for metrics; status 0 if there was no answer. */
export type LeaseRequestObserver = (
  kind: LeaseRequestKind,
  result: { readonly status: number; readonly reason: string; readonly durationMs: number },
) => void;

export interface LeaseApiOptions {
  readonly api: ApiClient;
  readonly namespace: string;
  readonly onRequest?: LeaseRequestObserver;
}

export interface LeaseList {
  readonly leases: readonly Lease[];
  /** From where a watch goes on. */
  readonly resourceVersion: string;
}

/** The Leases of a namespace. All methods throw ApiError. */
export class LeaseApi extends ObjectApi<Lease> {
  readonly #api: ApiClient;
  readonly #path: string;
  readonly #onRequest: LeaseRequestObserver;

  constructor({ api, namespace, onRequest = () => {} }: LeaseApiOptions) {
    const apiVersion = 'coordination.k8s.io/v1';
    const path = `/apis/${apiVersion}/namespaces/${encodeURIComponent(namespace)}/leases`;
    super({ api, apiVersion, kind: 'Lease', path, schema: leaseSchema });
    this.#api = api;
    this.#path = path;
    this.#onRequest = onRequest;
  }

  async list(labelSelector: string, signal: AbortSignal): Promise<LeaseList> {
    const answer = await this.#observe('list', () =>
      this.#api.request({ method: 'GET', path: this.#path, query: { labelSelector }, signal }),
    );
    const { items, metadata } = readAnswer(leaseListSchema, answer, 'Leases');
    return { leases: items, resourceVersion: metadata.resourceVersion };
  }

  /** Begins to watch; the answer's body are lines of events. */
  watch(
    query: { readonly labelSelector: string; readonly resourceVersion: string },
    timeoutSeconds: number,
    signal: AbortSignal,
  ): Promise<IncomingMessage> {
    return this.#observe('watch', () =>
      this.#api.watch({
        method: 'GET',
        path: this.#path,
        query: {
          ...query,
          watch: 'true',
          allowWatchBookmarks: 'true',
          timeoutSeconds: String(timeoutSeconds),
        },
        signal,
      }),
    );
  }

  override delete(lease: Lease, signal: AbortSignal): Promise<void> {
    return this.#observe('delete', () => super.delete(lease, signal));
  }

  async #observe<T>(kind: LeaseRequestKind, work: () => Promise<T>): Promise<T> {
    const startedAtMs = performance.now();
    const tell = (status: number, reason: string) =>
      this.#onRequest(kind, { status, reason, durationMs: performance.now() - startedAtMs });
    try {
      const result = await work();
      tell(200, '');
      return result;
    } catch (error) {
      const { status, reason } = toApiError(error);
      tell(status, reason);
      throw error;
    }
  }
}
