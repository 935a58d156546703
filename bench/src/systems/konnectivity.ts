import { join } from 'node:path';
import { findProgram, requireProgram } from '../process/find-program.ts';
import { findFreePorts } from '../process/free-ports.ts';
import { Program } from '../process/program.ts';
import { peerVersion } from './peer-version.ts';
import { closeAll, type System, type SystemContext, targetAddress } from './system.ts';

/** Konnectivity in one of its two modes; the tunnel is gRPC over mutual TLS in both. */
export function konnectivity(mode: 'http-connect' | 'grpc'): System {
  const clientLeg =
    mode === 'grpc'
      ? 'a gRPC connection per stream on UDS, as kube-apiserver makes it (client in Node)'
      : 'HTTP CONNECT on UDS';
  return {
    name: mode === 'grpc' ? 'konnectivity-grpc' : 'konnectivity',
    about: `Go; ${clientLeg}, gRPC over mutual TLS as tunnel`,
    isNode: false,
    isMultiplexed: true,
    missing: () =>
      findProgram('konnectivity-server') && findProgram('konnectivity-agent')
        ? undefined
        : 'bench/peers/build-go-peers.sh konnectivity',
    version: () => peerVersion('konnectivity-server'),
    async start(context: SystemContext) {
      const { caFile, server, client } = context.pki.agent;
      const [agentPort = 0, ...others] = await findFreePorts(5);
      const [serverHealth, serverAdmin, agentHealth, agentAdmin] = others;
      const path = join(context.directory, 'frontend.sock');
      const near = await Program.start({
        name: 'konnectivity-server',
        command: requireProgram('konnectivity-server'),
        args: [
          `--mode=${mode}`,
          `--uds-name=${path}`,
          '--server-port=0',
          `--cluster-cert=${server.certFile}`,
          `--cluster-key=${server.keyFile}`,
          `--cluster-ca-cert=${caFile}`,
          `--agent-port=${agentPort}`,
          '--agent-bind-address=127.0.0.1',
          `--health-port=${serverHealth}`,
          `--admin-port=${serverAdmin}`,
          '--v=0',
        ],
      });
      const entrance = await context.through({ host: '127.0.0.1', port: agentPort });
      const far = await Program.start({
        name: 'konnectivity-agent',
        command: requireProgram('konnectivity-agent'),
        args: [
          `--ca-cert=${caFile}`,
          `--agent-cert=${client.certFile}`,
          `--agent-key=${client.keyFile}`,
          `--proxy-server-host=${entrance.host}`,
          `--proxy-server-port=${entrance.port}`,
          `--health-server-port=${agentHealth}`,
          `--admin-server-port=${agentAdmin}`,
          '--v=0',
        ],
      });
      return {
        processes: [
          { role: 'server', pid: near.pid },
          { role: 'agent', pid: far.pid },
        ],
        route: (kind) => ({
          by: mode === 'grpc' ? 'grpc' : 'connect',
          address: { path },
          target: targetAddress(context, kind),
        }),
        close: () => closeAll([far, near]),
      };
    },
  };
}
