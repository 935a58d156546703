export { targetTlsOptions } from './http-tls.ts';
export type { LatencyPoint, LatencyReport } from './latency.ts';
export { type HttpTls, httpMethods, type Load, type LoadOrder } from './load.ts';
export { Meter, type MeterReport, type MeterSample } from './meter.ts';
export { startLoad } from './start-load.ts';
export { createLoadTarget, targetKinds } from './target.ts';
