import type { IncomingMessage } from 'node:http';
import type { z } from 'zod';
import type { ApiClient } from './api-client.ts';
import { ApiError, toApiError } from './api-error.ts';
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
export class LeaseApi {
  readonly #api: ApiClient;
  readonly #path: string;
  readonly #onRequest: LeaseRequestObserver;

  constructor({ api, namespace, onRequest = () => {} }: LeaseApiOptions) {
    this.#api = api;
    this.#path = `/apis/coordination.k8s.io/v1/namespaces/${encodeURIComponent(namespace)}/leases`;
    this.#onRequest = onRequest;
  }

  async list(labelSelector: string, signal: AbortSignal): Promise<LeaseList> {
    const answer = await this.#observe('list', () =>
      this.#api.request({ method: 'GET', path: this.#path, query: { labelSelector }, signal }),
    );
    const { items, metadata } = read(leaseListSchema, answer);
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

  async get(name: string, signal: AbortSignal): Promise<Lease> {
    const path = `${this.#path}/${name}`;
    return read(leaseSchema, await this.#api.request({ method: 'GET', path, signal }));
  }

  async create(lease: object, signal: AbortSignal): Promise<Lease> {
    const body = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', ...lease };
    const request = { method: 'POST', path: this.#path, body, signal } as const;
    return read(leaseSchema, await this.#api.request(request));
  }

  /** Replaces a Lease that is still the one that was read; else status 409. */
  async update(lease: Lease, signal: AbortSignal): Promise<Lease> {
    const path = `${this.#path}/${lease.metadata.name}`;
    const request = { method: 'PUT', path, body: lease, signal } as const;
    return read(leaseSchema, await this.#api.request(request));
  }

  /** Deletes a Lease that is still the one that was read; else status 409. */
  async delete({ metadata }: Lease, signal: AbortSignal): Promise<void> {
    const { name, uid, resourceVersion } = metadata;
    const preconditions = { resourceVersion, ...(uid !== undefined && { uid }) };
    const body = { apiVersion: 'v1', kind: 'DeleteOptions', preconditions };
    await this.#observe('delete', () =>
      this.#api.request({ method: 'DELETE', path: `${this.#path}/${name}`, body, signal }),
    );
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

function read<T>(schema: z.ZodType<T>, answer: unknown): T {
  const { success, data } = schema.safeParse(answer);
  if (!success)
    throw new ApiError(0, '', 'the Kubernetes API answered with something else than Leases');
  return data;
}
