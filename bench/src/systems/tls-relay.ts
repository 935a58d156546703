import { join } from 'node:path';
import { programs } from '@fairlead/testkit';
import type { RoleProcess } from '../process/process-group.ts';
import { Program } from '../process/program.ts';
import { programVersion } from './program-version.ts';
import { closeAll, type System, type SystemContext, targetAddress } from './system.ts';

/** The port is there for TCP only. */
const listening = /"msg":"listening"(?:.*"port":(\d+))?/;

/** The yardstick: TLS in Node and nothing else. One pair of processes for each target. */
export const tlsRelay: System = {
  name: 'tls-relay',
  about: 'Node; UDS in, one mutual TLS connection per stream, no multiplexing (packages/testkit)',
  isNode: true,
  isMultiplexed: false,
  missing: () => undefined,
  version: (nodePath) => programVersion(nodePath, ['--version'], /(v\S+)/),
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
      const entrance = await context.through({
        host: '127.0.0.1',
        port: Number(far.matches[0]?.[1]),
      });
      const near = await startHalf(context, 'near', {
        listen: socketPath(context, kind),
        to: `${entrance.host}:${entrance.port}`,
        certFile: client.certFile,
        keyFile: client.keyFile,
      });
      running.push(near);
      processes.push({ role: 'server', pid: near.pid });
    }
    return {
      processes,
      route: (kind) => ({
        by: 'forward',
        address: { path: socketPath(context, kind) },
        target: targetAddress(context, kind),
      }),
      close: () => closeAll(running),
    };
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

function socketPath(context: SystemContext, kind: string): string {
  return join(context.directory, `${kind}.sock`);
}
