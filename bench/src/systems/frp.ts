import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { findProgram, requireProgram } from '../process/find-program.ts';
import { Program } from '../process/program.ts';
import { forwardedPorts } from './forwarded-ports.ts';
import { programVersion } from './program-version.ts';
import { runningPair, type System, type SystemContext } from './system.ts';

/** frp with its defaults: yamux streams over one connection. */
export const frp: System = {
  name: 'frp',
  about: 'Go; loopback TCP front end, yamux over mutual TLS',
  isNode: false,
  isMultiplexed: true,
  missing: () =>
    findProgram('frps') && findProgram('frpc') ? undefined : 'bench/peers/build-go-peers.sh frp',
  version: () => programVersion(findProgram('frps'), ['--version'], /(\S+)/),
  async start(context: SystemContext) {
    const { caFile, server, client } = context.pki.agent;
    const { ports, tunnelPort, route } = await forwardedPorts(context);
    const near = await startHalf(context, 'frps', [
      'bindAddr = "127.0.0.1"',
      `bindPort = ${tunnelPort}`,
      'proxyBindAddr = "127.0.0.1"',
      'transport.tls.force = true',
      ...tls(server, caFile),
    ]);
    const tunnelAddress = await context.through({ host: '127.0.0.1', port: tunnelPort });
    const far = await startHalf(context, 'frpc', [
      `serverAddr = "${tunnelAddress.host}"`,
      `serverPort = ${tunnelAddress.port}`,
      'loginFailExit = false',
      'transport.tls.serverName = "localhost"',
      ...tls(client, caFile),
      ...ports.flatMap(({ kind, port, target }) => [
        '[[proxies]]',
        `name = "${kind}"`,
        'type = "tcp"',
        `localIP = "${target.host}"`,
        `localPort = ${target.port}`,
        `remotePort = ${port}`,
      ]),
    ]);
    return runningPair(near, far, route);
  },
};

interface KeyPair {
  readonly certFile: string;
  readonly keyFile: string;
}

function tls({ certFile, keyFile }: KeyPair, caFile: string): string[] {
  return [
    `transport.tls.certFile = "${certFile}"`,
    `transport.tls.keyFile = "${keyFile}"`,
    `transport.tls.trustedCaFile = "${caFile}"`,
  ];
}

async function startHalf(
  context: SystemContext,
  program: 'frps' | 'frpc',
  lines: readonly string[],
): Promise<Program> {
  const file = join(context.directory, `${program}.toml`);
  await writeFile(file, ['log.level = "warn"', ...lines, ''].join('\n'));
  return Program.start({ name: program, command: requireProgram(program), args: ['-c', file] });
}
