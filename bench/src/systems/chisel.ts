import { findProgram, requireProgram } from '../process/find-program.ts';
import { Program } from '../process/program.ts';
import { forwardedPorts } from './forwarded-ports.ts';
import { peerVersion } from './peer-version.ts';
import { closeAll, type System, type SystemContext } from './system.ts';

/** Reverse port forwarding: SSH within a WebSocket within TLS. */
export const chisel: System = {
  name: 'chisel',
  about: 'Go; loopback TCP in, SSH over a WebSocket over mutual TLS (encrypts twice)',
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
    const entrance = await context.through({ host: '127.0.0.1', port: tunnelPort });
    const far = await start([
      ...['client', '--max-retry-interval', '1s'],
      ...['--tls-cert', client.certFile, '--tls-key', client.keyFile, '--tls-ca', caFile],
      `https://${entrance.host}:${entrance.port}`,
      ...ports.map(({ port, target }) => `R:127.0.0.1:${port}:${target.host}:${target.port}`),
    ]);
    return {
      processes: [
        { role: 'server', pid: near.pid },
        { role: 'agent', pid: far.pid },
      ],
      route,
      close: () => closeAll([far, near]),
    };
  },
};
