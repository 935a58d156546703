import { failuresColumn, operationColumns, operationValues } from './columns.ts';
import { type Measure, observeLoad } from './measure.ts';

export interface HttpShape {
  readonly tls: boolean;
  /** Whether each request opens a connection. */
  readonly reconnect: boolean;
  readonly connections: number;
}

/** Requests of autocannon through the tunnel. */
export function http({ tls, reconnect, connections }: HttpShape): Measure {
  const protocol = tls ? 'https' : 'http';
  return {
    name: `${protocol}-${reconnect ? 'close' : 'keepalive'}`,
    title: `${tls ? 'HTTPS' : 'HTTP'}, ${reconnect ? 'a connection per request' : 'keep-alive'}, ${connections} connections`,
    about: 'autocannon gets 1 KiB from a server in Node, one request at a time on each connection.',
    targets: [protocol],
    columns: [...operationColumns, failuresColumn],
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
      const { observation, report } = await observeLoad(rig, load);
      return { ...operationValues(observation, report), failures: report.failures };
    },
  };
}
