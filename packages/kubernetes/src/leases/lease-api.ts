import type { IncomingMessage } from 'node:http';
import { z } from 'zod';
import type { ApiClient } from '../api/api-client.ts';
import { toApiError } from '../api/api-error.ts';
import { ObjectApi } from '../api/object-api.ts';

const microTime = z.string().refine((text) => !Number.isNaN(Date.parse(text)));

/** A Lease (coordination.k8s.io/v1). Fields that are not listed here are kept unchanged. */
export const leaseSchema = z.looseObject({
  metadata: z.looseObject({
    name: z.string(),
    uid: z.string().optional(),
    resourceVersion: z.string().default(''),
    labels: z.record(z.string(), z.string()).nullish(),
    annotations: z.record(z.string(), z.string()).nullish(),
  }),
  spec: z
    .looseObject({
      holderIdentity: z.string().nullish(),
      leaseDurationSeconds: z.number().nullish(),
      acquireTime: microTime.nullish(),
      renewTime: microTime.nullish(),
    })
    .default({}),
});

export type Lease = z.infer<typeof leaseSchema>;

/**
 * When a Lease expires by its own fields, in ms since the epoch: its duration after the last renewal, or
 * after its acquisition. A Lease without these times has expired.
 */
export function leaseEndMs({ spec }: Lease): number {
  const since = spec.renewTime ?? spec.acquireTime;
  return since ? Date.parse(since) + (spec.leaseDurationSeconds ?? 0) * 1_000 : 0;
}

/** The kinds of request that metrics count. */
export type LeaseRequestKind = 'list' | 'watch' | 'delete';

/** Receives the result of each request; status 0 means no answer. */
export type LeaseRequestObserver = (
  kind: LeaseRequestKind,
  result: { readonly status: number; readonly reason: string; readonly durationMs: number },
) => void;

/** The Leases of a namespace. All methods throw ApiError. */
export class LeaseApi extends ObjectApi<Lease> {
  readonly #onRequest: LeaseRequestObserver;

  constructor({
    api,
    namespace,
    onRequest = () => {},
  }: {
    readonly api: ApiClient;
    readonly namespace: string;
    readonly onRequest?: LeaseRequestObserver;
  }) {
    const apiVersion = 'coordination.k8s.io/v1';
    const path = `/apis/${apiVersion}/namespaces/${encodeURIComponent(namespace)}/leases`;
    super({ api, apiVersion, kind: 'Lease', path, schema: leaseSchema });
    this.#onRequest = onRequest;
  }

  /** @returns the Leases, and the version from which a watch continues */
  list(
    labelSelector: string,
    signal: AbortSignal,
  ): Promise<{ readonly items: readonly Lease[]; readonly resourceVersion: string }> {
    return this.#observe('list', () => this.page({ labelSelector }, signal));
  }

  /** Starts a watch. The body of the answer is one event per line. */
  watch(
    query: { readonly labelSelector: string; readonly resourceVersion: string },
    timeoutSeconds: number,
    signal: AbortSignal,
  ): Promise<IncomingMessage> {
    const { api, path } = this.options;
    return this.#observe('watch', () =>
      api.watch({
        method: 'GET',
        path,
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

  async #observe<T>(kind: LeaseRequestKind, request: () => Promise<T>): Promise<T> {
    const startedAtMs = performance.now();
    const report = (status: number, reason: string) =>
      this.#onRequest(kind, { status, reason, durationMs: performance.now() - startedAtMs });
    try {
      const result = await request();
      report(200, '');
      return result;
    } catch (error) {
      const { status, reason } = toApiError(error);
      report(status, reason);
      throw error;
    }
  }
}
