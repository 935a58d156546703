/** For our own tests. */
export { readClusterSettings } from './api/kube-config.ts';
export { RequestRate } from './api/request-rate.ts';
