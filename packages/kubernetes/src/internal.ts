/** For our own tests. */
export { readClusterSettings } from './kube-config.ts';
export { RequestRate } from './request-rate.ts';
