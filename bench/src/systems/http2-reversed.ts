import { fileURLToPath } from 'node:url';
import { Program } from '../process/program.ts';
import { nodeVersion } from './program-version.ts';
import {
  runningPair,
  type System,
  type SystemContext,
  socketPath,
  socketRoutes,
} from './system.ts';

const entry = fileURLToPath(new URL('./http2-reversed-main.js', import.meta.url));

/** Node's own multiplexer as a tunnel. */
export const http2Reversed: System = {
  name: 'http2-reversed',
  about:
    'Node; UDS front end, node:http2 with reversed roles over mutual TLS, a CONNECT per stream',
  isNode: true,
  isMultiplexed: true,
  missing: () => undefined,
  version: nodeVersion,
  async start(context: SystemContext) {
    const { caFile, server, client } = context.pki.agent;
    const start = (half: string, args: string[], ready?: RegExp) =>
      Program.start({
        name: `http2-reversed ${half}`,
        command: context.nodePath,
        args: [...context.nodeArgs, entry, half, '--ca', caFile, ...args],
        ...(ready ? { ready: [ready] } : {}),
      });
    const forwards = [...context.targets].flatMap(([kind, { host, port }]) => [
      '--forward',
      `${socketPath(context, kind)}=${host}:${port}`,
    ]);
    const near = await start(
      'near',
      ['--cert', server.certFile, '--key', server.keyFile, ...forwards],
      /listening on (\d+)/,
    );
    const port = Number(near.matches[0]?.[1]);
    const tunnelAddress = await context.through({ host: '127.0.0.1', port });
    const far = await start('far', [
      ...['--cert', client.certFile, '--key', client.keyFile],
      ...['--to', `${tunnelAddress.host}:${tunnelAddress.port}`],
    ]);
    return runningPair(near, far, socketRoutes(context));
  },
};
