export { httpMethods } from './http-methods.ts';
export { targetTlsOptions } from './http-tls.ts';
export type { LatencyPoint, LatencyReport } from './latency.ts';
export type { HttpTls, Load, LoadOrder } from './load.ts';
export { Meter, type MeterReport, type MeterSample } from './meter.ts';
export { startLoad } from './start-load.ts';
export { createLoadTarget, targetKinds } from './target.ts';
