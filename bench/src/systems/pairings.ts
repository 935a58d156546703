import { startFairleadAgent, startFairleadServer } from './fairlead.ts';
import {
  missingKonnectivity,
  startKonnectivityAgent,
  startKonnectivityServer,
} from './konnectivity.ts';
import { peerVersion } from './peer-version.ts';
import { closeAll, type System, targetAddress } from './system.ts';

type Kind = 'fairlead' | 'konnectivity';

/** A server of one kind with an agent of the other, or of ours on Konnectivity's gRPC front end. */
function pairing(server: Kind, agent: Kind, mode: 'http-connect' | 'grpc'): System {
  const suffix = mode === 'grpc' ? '-grpc' : '';
  return {
    name: server === agent ? `${server}${suffix}` : `${server}-to-${agent}${suffix}`,
    about: `server: ${server}, agent: ${agent}; ${mode} on UDS`,
    isNode: true,
    isMultiplexed: true,
    missing: () => (server === agent ? undefined : missingKonnectivity()),
    version: async () => (server === agent ? undefined : peerVersion('konnectivity-server')),
    async start(context) {
      const near =
        server === 'fairlead'
          ? await startFairleadServer(context)
          : await startKonnectivityServer(context, mode);
      const entrance = await context.through({ host: '127.0.0.1', port: near.agentPort });
      const transport = server === 'fairlead' ? 'tls' : 'grpc';
      const far =
        agent === 'fairlead'
          ? await startFairleadAgent(context, entrance.port, { transport })
          : await startKonnectivityAgent(context, entrance);
      return {
        processes: [
          { role: 'server', pid: near.program.pid },
          { role: 'agent', pid: far.pid },
        ],
        route: (kind) => ({
          by: mode === 'grpc' ? 'grpc' : 'connect',
          address: near.frontEnd,
          target: targetAddress(context, kind),
        }),
        close: () => closeAll([far, near.program]),
      };
    },
  };
}

/** Ours together with Konnectivity's, for docs/interoperability.md; run when `--peers` names them. */
export const pairings: readonly System[] = [
  pairing('fairlead', 'konnectivity', 'http-connect'),
  pairing('konnectivity', 'fairlead', 'http-connect'),
  pairing('fairlead', 'fairlead', 'grpc'),
  pairing('fairlead', 'konnectivity', 'grpc'),
  pairing('konnectivity', 'fairlead', 'grpc'),
];
