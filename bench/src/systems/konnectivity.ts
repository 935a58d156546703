import { join } from 'node:path';
import type { TcpAddress } from '@fairlead/client';
import { findProgram, requireProgram } from '../process/find-program.ts';
import { findFreePorts } from '../process/free-ports.ts';
import { Program } from '../process/program.ts';
import type { StartedServer } from './fairlead.ts';
import { peerVersion } from './peer-version.ts';
import {
  type RunningSystem,
  runningPair,
  type System,
  type SystemContext,
  targetAddress,
} from './system.ts';

/** What clients speak to the front end. */
export type FrontEndMode = 'http-connect' | 'grpc';

/** Konnectivity with one of its front ends. The tunnel is gRPC over mutual TLS in both modes. */
export function konnectivity(mode: FrontEndMode): System {
  const clientLeg =
    mode === 'grpc'
      ? 'a gRPC connection per stream on UDS, like kube-apiserver'
      : 'HTTP CONNECT on UDS';
  return {
    name: mode === 'grpc' ? 'konnectivity-grpc' : 'konnectivity',
    about: `Go; ${clientLeg}, gRPC tunnel over mutual TLS`,
    isNode: false,
    isMultiplexed: true,
    ...(mode === 'grpc' ? { frontEnd: mode } : {}),
    missing: missingKonnectivity,
    version: () => peerVersion('konnectivity-server'),
    async start(context: SystemContext) {
      const near = await startKonnectivityServer(context, mode);
      const tunnelAddress = await context.through({ host: '127.0.0.1', port: near.agentPort });
      const far = await startKonnectivityAgent(context, tunnelAddress);
      return runningPair(near.program, far, frontEndRoutes(context, near, mode));
    },
  };
}

export function frontEndRoutes(
  context: SystemContext,
  { frontEnd }: StartedServer,
  mode: FrontEndMode,
): RunningSystem['route'] {
  return (kind) => ({
    by: mode === 'grpc' ? 'grpc' : 'connect',
    address: frontEnd,
    target: targetAddress(context, kind),
  });
}

/** @returns the command that installs Konnectivity, or undefined if it is installed */
export function missingKonnectivity(): string | undefined {
  return findProgram('konnectivity-server') && findProgram('konnectivity-agent')
    ? undefined
    : 'bench/peers/build-go-peers.sh konnectivity';
}

export async function startKonnectivityServer(
  context: SystemContext,
  mode: FrontEndMode,
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
