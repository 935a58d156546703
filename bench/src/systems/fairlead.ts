import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { access, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Address, Route } from '@fairlead/client';
import { workspaceRoot } from '@fairlead/testkit';
import type { RoleProcess } from '../process/process-group.ts';
import { Program } from '../process/program.ts';
import { nodeVersion } from './program-version.ts';
import { type System, type SystemContext, targetAddress } from './system.ts';

type FrontEnd = 'uds' | 'mtls' | 'http2';
type Transport = 'tls' | 'websocket' | 'http2' | 'grpc';

export interface FairleadVariant {
  readonly name: string;
  readonly about: string;
  /** A checkout with built packages/server and packages/agent. The default is this checkout. */
  readonly root?: string;
  readonly frontEnd?: FrontEnd;
  readonly transport?: Transport;
}

const listeningOn = (listener: string) =>
  new RegExp(`^(?=.*"msg":"listening")(?=.*"listener":"${listener}").*?"port":(\\d+)`);

/** Fairlead with one of its front ends and transports. */
export function fairlead(variant: FairleadVariant): System {
  const { name, about, root = workspaceRoot, frontEnd = 'uds', transport = 'tls' } = variant;
  return {
    name,
    about,
    isNode: true,
    isMultiplexed: true,
    ...(frontEnd === 'uds' ? {} : { frontEnd }),
    hasFleet: frontEnd === 'uds' && transport === 'tls',
    missing: () => undefined,
    version: nodeVersion,
    async start(context) {
      const { caFile, client } = context.pki.agent;
      let server = await startFairleadServer(context, { root, frontEnd });
      let agent: Program | undefined;
      const close = async () => {
        await agent?.close();
        await server.program.close();
      };
      try {
        const tunnelAddress = await context.through({ host: '127.0.0.1', port: server.agentPort });
        const running = await startFairleadAgent(context, tunnelAddress.port, { root, transport });
        agent = running;
        return {
          get processes(): RoleProcess[] {
            return [
              { role: 'server', pid: server.program.pid },
              { role: 'agent', pid: running.pid },
            ];
          },
          route: (kind): Route => ({
            by: frontEnd === 'http2' ? 'http2-connect' : 'connect',
            address: server.frontEnd,
            target: targetAddress(context, kind),
            ...(frontEnd === 'mtls' ? { tls: clientTls(context) } : {}),
          }),
          fleetServer: {
            root,
            port: server.agentPort,
            caFile,
            certFile: client.certFile,
            keyFile: client.keyFile,
            async stop() {
              server.program.signal('SIGKILL');
              await server.program.close();
            },
            async start() {
              const { agentPort } = server;
              server = await startFairleadServer(context, { root, frontEnd, agentPort });
            },
          },
          close,
        };
      } catch (error) {
        await close();
        throw error;
      }
    },
  };
}

export interface StartedServer {
  readonly program: Program;
  readonly agentPort: number;
  readonly frontEnd: Address;
}

export interface FairleadServerOptions {
  /** A checkout with built packages. The default is this checkout. */
  readonly root?: string;
  readonly frontEnd?: FrontEnd;
  /** By default, the kernel picks a port. */
  readonly agentPort?: number;
}

export async function startFairleadServer(
  context: SystemContext,
  { root = workspaceRoot, frontEnd = 'uds', agentPort = 0 }: FairleadServerOptions = {},
): Promise<StartedServer> {
  const { agent, frontend } = context.pki;
  const entry = join(root, 'packages/server/bin/fairlead-server.js');
  await access(entry);
  const path = join(context.directory, 'frontend.sock');
  const ticketKeyFile = join(context.directory, 'ticket-key');
  // A restarted server uses the same key, so that agents resume their TLS sessions.
  if (!existsSync(ticketKeyFile)) await writeFile(ticketKeyFile, randomBytes(48).toString('hex'));
  const tcp = [
    '--server-port=0',
    '--server-bind-address=127.0.0.1',
    `--server-cert=${frontend.server.certFile}`,
    `--server-key=${frontend.server.keyFile}`,
    `--server-ca-cert=${frontend.caFile}`,
  ];
  const program = await Program.start({
    name: 'fairlead-server',
    command: context.nodePath,
    args: [
      ...context.nodeArgs,
      entry,
      ...(frontEnd === 'mtls' ? tcp : [`--uds-name=${path}`]),
      `--cluster-cert=${agent.server.certFile}`,
      `--cluster-key=${agent.server.keyFile}`,
      `--cluster-ca-cert=${agent.caFile}`,
      `--tls-ticket-key-file=${ticketKeyFile}`,
      `--agent-port=${agentPort}`,
      '--agent-bind-address=127.0.0.1',
      '--health-port=0',
      '--health-bind-address=127.0.0.1',
      '--admin-port=0',
      '--graceful-shutdown-timeout=0s',
    ],
    ready: [listeningOn('agent'), ...(frontEnd === 'mtls' ? [listeningOn('frontend')] : [])],
  });
  const [boundAgentPort, frontEndPort] = program.matches.map((match) => Number(match[1]));
  return {
    program,
    agentPort: boundAgentPort!,
    frontEnd: frontEnd === 'mtls' ? { host: '127.0.0.1', port: frontEndPort! } : { path },
  };
}

export function startFairleadAgent(
  context: SystemContext,
  serverPort: number,
  {
    root = workspaceRoot,
    transport = 'tls',
  }: { readonly root?: string; readonly transport?: Transport },
): Promise<Program> {
  const { agent } = context.pki;
  return Program.start({
    name: 'fairlead-agent',
    command: context.nodePath,
    args: [
      ...context.nodeArgs,
      join(root, 'packages/agent/bin/fairlead-agent.js'),
      '--proxy-server-host=127.0.0.1',
      `--proxy-server-port=${serverPort}`,
      `--ca-cert=${agent.caFile}`,
      `--agent-cert=${agent.client.certFile}`,
      `--agent-key=${agent.client.keyFile}`,
      `--transport=${transport}`,
      '--health-server-port=0',
      '--health-server-host=127.0.0.1',
      '--admin-server-port=0',
      '--graceful-shutdown-timeout=0s',
    ],
    ready: [listeningOn('health')],
  });
}

function clientTls({ pki }: SystemContext): NonNullable<Route['tls']> {
  const { ca, client } = pki.frontend;
  return { ca, cert: client.cert, key: client.key };
}
