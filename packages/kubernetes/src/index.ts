export { ApiClient, type ApiClientOptions } from './api/api-client.ts';
export { ApiError, toApiError } from './api/api-error.ts';
export { reviewToken, type TokenReview } from './api/token-review.ts';
export { type Lease, LeaseApi, type LeaseRequestObserver } from './leases/lease-api.ts';
export { LeaseCuller } from './leases/lease-culler.ts';
export { leaseMetrics } from './leases/lease-metrics.ts';
export { LeaseWatch } from './leases/lease-watch.ts';
export { OwnLease } from './leases/own-lease.ts';
export { type Secret, SecretApi } from './secret-api.ts';
