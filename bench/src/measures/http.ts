import {
  cpuColumns,
  cpuPerOperation,
  latencyColumns,
  latencyValues,
  operationColumn,
  operationsPerSecond,
  peakColumns,
} from './columns.ts';
import { type Measure, pass } from './measure.ts';

export interface HttpShape {
  readonly tls: boolean;
  /** A connection for every request. */
  readonly reconnect: boolean;
  readonly connections: number;
}

/** Requests by autocannon through the tunnel. */
export function http({ tls, reconnect, connections }: HttpShape): Measure {
  const protocol = tls ? 'https' : 'http';
  return {
    name: `${protocol}-${reconnect ? 'close' : 'keepalive'}`,
    title: `${tls ? 'HTTPS' : 'HTTP'}, ${reconnect ? 'a connection per request' : 'keep-alive'}, ${connections} connections`,
    about: 'autocannon gets 1 KiB from a server in Node, one request at a time on each connection.',
    targets: [protocol],
    columns: [
      operationColumn,
      ...latencyColumns,
      ...cpuColumns('µs/op'),
      ...peakColumns,
      { key: 'failures', title: 'failures', unit: '', better: 'lower' },
    ],
    charted: ['rate'],
    async run(rig) {
      const route = rig.route(protocol);
      const load = await rig.startLoad({
        kind: 'http',
        route,
        streams: connections,
        tls,
        reconnect,
      });
      await pass(rig.warmupMs);
      const seen = await rig.observe(load);
      await load.close();
      const report = seen.reports[0]!;
      return {
        rate: operationsPerSecond(report),
        ...latencyValues(report),
        ...cpuPerOperation(seen, report),
        failures: report.failures,
      };
    },
  };
}
