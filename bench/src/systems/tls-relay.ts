import { programs } from '@fairlead/testkit';
import type { RoleProcess } from '../process/process-group.ts';
import { Program } from '../process/program.ts';
import { nodeVersion } from './program-version.ts';
import { closeAll, type System, type SystemContext, socketPath, socketRoutes } from './system.ts';

/** Unix domain sockets have no port. */
const listening = /"msg":"listening"(?:.*"port":(\d+))?/;

/** The baseline: TLS in Node without a protocol. Each target has its own pair of processes. */
export const tlsRelay: System = {
  name: 'tls-relay',
  about:
    'Node; UDS front end, one mutual TLS connection per stream, no multiplexing (packages/testkit)',
  isNode: true,
  isMultiplexed: false,
  missing: () => undefined,
  version: nodeVersion,
  async start(context: SystemContext) {
    const running: Program[] = [];
    const processes: RoleProcess[] = [];
    for (const [kind, target] of context.targets) {
      const { server, client } = context.pki.agent;
      const far = await startHalf(context, 'far', {
        listen: '127.0.0.1:0',
        to: `${target.host}:${target.port}`,
        certFile: server.certFile,
        keyFile: server.keyFile,
      });
      running.push(far);
      processes.push({ role: 'agent', pid: far.pid });
      const tunnelAddress = await context.through({
        host: '127.0.0.1',
        port: Number(far.matches[0]?.[1]),
      });
      const near = await startHalf(context, 'near', {
        listen: socketPath(context, kind),
        to: `${tunnelAddress.host}:${tunnelAddress.port}`,
        certFile: client.certFile,
        keyFile: client.keyFile,
      });
      running.push(near);
      processes.push({ role: 'server', pid: near.pid });
    }
    return { processes, route: socketRoutes(context), close: () => closeAll(running) };
  },
};

interface HalfOptions {
  readonly listen: string;
  readonly to: string;
  readonly certFile: string;
  readonly keyFile: string;
}

function startHalf(
  context: SystemContext,
  half: 'near' | 'far',
  { listen, to, certFile, keyFile }: HalfOptions,
): Promise<Program> {
  const tls = ['--ca', context.pki.agent.caFile, '--cert', certFile, '--key', keyFile];
  return Program.start({
    name: `tls-relay ${half}`,
    command: context.nodePath,
    args: [...context.nodeArgs, programs.tlsRelay, half, '--listen', listen, '--to', to, ...tls],
    ready: [listening],
  });
}
