import { findProgram, requireProgram } from '../process/find-program.ts';
import { Program } from '../process/program.ts';
import { forwardedPorts } from './forwarded-ports.ts';
import { peerVersion } from './peer-version.ts';
import { runningPair, type System, type SystemContext } from './system.ts';

/** Reverse port forwarding over SSH in a WebSocket in TLS. */
export const chisel: System = {
  name: 'chisel',
  about: 'Go; loopback TCP front end, SSH over WebSocket over mutual TLS (encrypts twice)',
  isNode: false,
  isMultiplexed: true,
  missing: () => (findProgram('chisel') ? undefined : 'bench/peers/build-go-peers.sh chisel'),
  version: () => peerVersion('chisel'),
  async start(context: SystemContext) {
    const { caFile, server, client } = context.pki.agent;
    const { ports, tunnelPort, route } = await forwardedPorts(context);
    const start = (args: string[]) =>
      Program.start({ name: `chisel ${args[0]}`, command: requireProgram('chisel'), args });
    const near = await start([
      ...['server', '--reverse', '--host', '127.0.0.1', '--port', String(tunnelPort)],
      ...['--tls-cert', server.certFile, '--tls-key', server.keyFile, '--tls-ca', caFile],
    ]);
    const tunnelAddress = await context.through({ host: '127.0.0.1', port: tunnelPort });
    const far = await start([
      ...['client', '--max-retry-interval', '1s'],
      ...['--tls-cert', client.certFile, '--tls-key', client.keyFile, '--tls-ca', caFile],
      `https://${tunnelAddress.host}:${tunnelAddress.port}`,
      ...ports.map(({ port, target }) => `R:127.0.0.1:${port}:${target.host}:${target.port}`),
    ]);
    return runningPair(near, far, route);
  },
};
