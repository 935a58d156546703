import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Program } from '../process/program.ts';
import { programVersion } from './program-version.ts';
import { closeAll, type System, type SystemContext, targetAddress } from './system.ts';

const entry = fileURLToPath(new URL('./http2-reversed-main.js', import.meta.url));

/** What Node's own multiplexer does with the same task. */
export const http2Reversed: System = {
  name: 'http2-reversed',
  about: 'Node; UDS in, node:http2 with roles reversed over mutual TLS, a CONNECT per stream',
  isNode: true,
  isMultiplexed: true,
  missing: () => undefined,
  version: (nodePath) => programVersion(nodePath, ['--version'], /(v\S+)/),
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
    const entrance = await context.through({ host: '127.0.0.1', port });
    const far = await start('far', [
      ...['--cert', client.certFile, '--key', client.keyFile],
      ...['--to', `${entrance.host}:${entrance.port}`],
    ]);
    return {
      processes: [
        { role: 'server', pid: near.pid },
        { role: 'agent', pid: far.pid },
      ],
      route: (kind) => ({
        by: 'forward',
        address: { path: socketPath(context, kind) },
        target: targetAddress(context, kind),
      }),
      close: () => closeAll([near, far]),
    };
  },
};

function socketPath(context: SystemContext, kind: string): string {
  return join(context.directory, `${kind}.sock`);
}
