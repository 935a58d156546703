import { startFairleadAgent, startFairleadServer } from './fairlead.ts';
import {
  type FrontEndMode,
  frontEndRoutes,
  missingKonnectivity,
  startKonnectivityAgent,
  startKonnectivityServer,
} from './konnectivity.ts';
import { peerVersion } from './peer-version.ts';
import { runningPair, type System } from './system.ts';

type Kind = 'fairlead' | 'konnectivity';

/** A server of one project with an agent of the other, or Fairlead with Konnectivity's gRPC front end. */
function pairing(server: Kind, agent: Kind, mode: FrontEndMode): System {
  const suffix = mode === 'grpc' ? '-grpc' : '';
  return {
    name: server === agent ? `${server}${suffix}` : `${server}-to-${agent}${suffix}`,
    about: `server: ${server}, agent: ${agent}; ${mode} on UDS`,
    isNode: true,
    isMultiplexed: true,
    ...(mode === 'grpc' ? { frontEnd: mode } : {}),
    missing: () => (server === agent ? undefined : missingKonnectivity()),
    version: async () => (server === agent ? undefined : peerVersion('konnectivity-server')),
    async start(context) {
      const near =
        server === 'fairlead'
          ? await startFairleadServer(context)
          : await startKonnectivityServer(context, mode);
      const tunnelAddress = await context.through({ host: '127.0.0.1', port: near.agentPort });
      const transport = server === 'fairlead' ? 'tls' : 'grpc';
      const far =
        agent === 'fairlead'
          ? await startFairleadAgent(context, tunnelAddress.port, { transport })
          : await startKonnectivityAgent(context, tunnelAddress);
      return runningPair(near.program, far, frontEndRoutes(context, near, mode));
    },
  };
}

/** Fairlead and Konnectivity together, for docs/interoperability.md. They run only if `--peers` names them. */
export const pairings: readonly System[] = [
  pairing('fairlead', 'konnectivity', 'http-connect'),
  pairing('konnectivity', 'fairlead', 'http-connect'),
  pairing('fairlead', 'fairlead', 'grpc'),
  pairing('fairlead', 'konnectivity', 'grpc'),
  pairing('konnectivity', 'fairlead', 'grpc'),
];
