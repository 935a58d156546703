import { join } from 'node:path';
import type { TcpAddress } from '@fairlead/client';
import { findProgram, requireProgram } from '../process/find-program.ts';
import { findFreePorts } from '../process/free-ports.ts';
import { Program } from '../process/program.ts';
import type { StartedServer } from './fairlead.ts';
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
    missing: missingKonnectivity,
    version: () => peerVersion('konnectivity-server'),
    async start(context: SystemContext) {
      const near = await startKonnectivityServer(context, mode);
      const entrance = await context.through({ host: '127.0.0.1', port: near.agentPort });
      const far = await startKonnectivityAgent(context, entrance);
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

/** Undefined when Konnectivity is here, else how to get it. */
export function missingKonnectivity(): string | undefined {
  return findProgram('konnectivity-server') && findProgram('konnectivity-agent')
    ? undefined
    : 'bench/peers/build-go-peers.sh konnectivity';
}

export async function startKonnectivityServer(
  context: SystemContext,
  mode: 'http-connect' | 'grpc',
): Promise<StartedServer> {
  const { caFile, server } = context.pki.agent;
  const [agentPort = 0, health, admin] = await findFreePorts(3);
  const path = join(context.directory, 'frontend.sock');
  const program = await Program.start({
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
      `--health-port=${health}`,
      `--admin-port=${admin}`,
      '--v=0',
    ],
  });
  return { program, agentPort, frontEnd: { path } };
}

export async function startKonnectivityAgent(
  context: SystemContext,
  server: TcpAddress,
): Promise<Program> {
  const { caFile, client } = context.pki.agent;
  const [health, admin] = await findFreePorts(2);
  return Program.start({
    name: 'konnectivity-agent',
    command: requireProgram('konnectivity-agent'),
    args: [
      `--ca-cert=${caFile}`,
      `--agent-cert=${client.certFile}`,
      `--agent-key=${client.keyFile}`,
      `--proxy-server-host=${server.host}`,
      `--proxy-server-port=${server.port}`,
      `--health-server-port=${health}`,
      `--admin-server-port=${admin}`,
      '--v=0',
    ],
  });
}
