/** For the tests of this package. */
export { readClusterSettings } from './api/kube-config.ts';
export { RequestRate } from './api/request-rate.ts';
