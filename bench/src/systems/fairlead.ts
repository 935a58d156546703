import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { access, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Address, Route } from '@fairlead/client';
import { workspaceRoot } from '@fairlead/testkit';
import type { RoleProcess } from '../process/process-group.ts';
import { Program } from '../process/program.ts';
import { programVersion } from './program-version.ts';
import { type System, type SystemContext, targetAddress } from './system.ts';

export interface FairleadVariant {
  readonly name: string;
  readonly about: string;
  /** Where built packages/server and packages/agent are found; this checkout if left out. */
  readonly root?: string;
  readonly frontEnd?: 'uds' | 'mtls' | 'http2';
  readonly transport?: 'tls' | 'websocket' | 'http2';
}

const listeningOn = (listener: string) =>
  new RegExp(`^(?=.*"msg":"listening")(?=.*"listener":"${listener}").*?"port":(\\d+)`);

/** Fairlead itself, by one of its front ends and transports. */
export function fairlead(variant: FairleadVariant): System {
  const { name, about, root = workspaceRoot, frontEnd = 'uds', transport = 'tls' } = variant;
  return {
    name,
    about,
    isNode: true,
    isMultiplexed: true,
    hasFleet: frontEnd === 'uds' && transport === 'tls',
    missing: () => undefined,
    version: (nodePath) => programVersion(nodePath, ['--version'], /(v\S+)/),
    async start(context) {
      const { caFile, client } = context.pki.agent;
      let server = await startFairleadServer(context, { root, frontEnd });
      let agent: Program | undefined;
      const close = async () => {
        await agent?.close();
        await server.program.close();
      };
      try {
        const entrance = await context.through({ host: '127.0.0.1', port: server.agentPort });
        const running = await startFairleadAgent(context, entrance.port, { root, transport });
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
  /** Where built packages are found; this checkout if left out. */
  readonly root?: string;
  readonly frontEnd?: 'uds' | 'mtls' | 'http2';
  /** Left out, the system picks one. */
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
  // Kept over a restart in this directory, so that agents resume as they do in a fleet.
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

export interface FairleadAgentOptions {
  readonly root?: string;
  readonly transport?: 'tls' | 'websocket' | 'http2' | 'grpc';
}

export function startFairleadAgent(
  context: SystemContext,
  serverPort: number,
  { root = workspaceRoot, transport = 'tls' }: FairleadAgentOptions = {},
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
