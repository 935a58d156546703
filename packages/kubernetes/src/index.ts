export { ApiClient, type ApiClientOptions } from './api-client.ts';
export { ApiError, toApiError } from './api-error.ts';
export type { Lease } from './lease.ts';
export { LeaseApi, type LeaseRequestObserver } from './lease-api.ts';
export { LeaseCuller } from './lease-culler.ts';
export { leaseMetrics } from './lease-metrics.ts';
export { LeaseWatch } from './lease-watch.ts';
export { OwnLease } from './own-lease.ts';
export { reviewToken, type TokenReview } from './token-review.ts';
