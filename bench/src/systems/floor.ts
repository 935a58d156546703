import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Program } from '../process/program.ts';
import { nodeVersion } from './program-version.ts';
import { runningPair, type System, type SystemContext, targetAddress } from './system.ts';

const entry = fileURLToPath(new URL('./floor/main.js', import.meta.url));

/** The lower limit of a tunnel in Node, with one of two front ends. */
export function floor(frontEnd: 'connect' | 'grpc'): System {
  const clientLeg =
    frontEnd === 'grpc' ? 'a gRPC connection per stream on UDS' : 'HTTP CONNECT on UDS';
  return {
    name: frontEnd === 'grpc' ? 'floor-grpc' : 'floor',
    about: `Node; ${clientLeg}, frames over mutual TLS, and nothing else: what a tunnel costs at least`,
    isNode: true,
    isMultiplexed: true,
    missing: () => undefined,
    version: nodeVersion,
    async start(context: SystemContext) {
      const { caFile, server, client } = context.pki.agent;
      const path = join(context.directory, 'frontend.sock');
      const start = (role: string, args: string[], ready?: RegExp) =>
        Program.start({
          name: `floor ${role}`,
          command: context.nodePath,
          args: [...context.nodeArgs, entry, role, '--ca', caFile, ...args],
          ...(ready ? { ready: [ready] } : {}),
        });
      const near = await start(
        'server',
        [
          ...['--cert', server.certFile, '--key', server.keyFile],
          ...['--uds', path, '--front-end', frontEnd],
        ],
        /listening on (\d+)/,
      );
      const port = Number(near.matches[0]?.[1]);
      const { host, port: tunnelPort } = await context.through({ host: '127.0.0.1', port });
      const far = await start('agent', [
        ...['--cert', client.certFile, '--key', client.keyFile],
        ...['--to', `${host}:${tunnelPort}`],
      ]);
      return runningPair(near, far, (kind) => ({
        by: frontEnd,
        address: { path },
        target: targetAddress(context, kind),
      }));
    },
  };
}
