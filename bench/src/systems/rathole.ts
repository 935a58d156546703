import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { findProgram, requireProgram } from '../process/find-program.ts';
import { Program } from '../process/program.ts';
import { runProgram } from '../process/run-program.ts';
import { forwardedPorts } from './forwarded-ports.ts';
import { programVersion } from './program-version.ts';
import { runningPair, type System, type SystemContext } from './system.ts';

const password = 'bench';
const token = 'bench';

/** rathole with TLS. It does not support client certificates, so a token authenticates the client. */
export const rathole: System = {
  name: 'rathole',
  about:
    'Rust; loopback TCP front end, one TLS connection per stream, a token instead of a client certificate',
  isNode: false,
  isMultiplexed: false,
  missing() {
    if (!findProgram('rathole')) return 'bench/peers/build-rathole.sh';
    return findProgram('openssl') ? undefined : 'apt-get install openssl';
  },
  version: () => programVersion(findProgram('rathole'), ['--version'], /Build Version:\s+(\S+)/),
  async start(context: SystemContext) {
    const { caFile, server } = context.pki.agent;
    const { ports, tunnelPort, route } = await forwardedPorts(context);
    const identity = join(context.directory, 'identity.pfx');
    await runProgram(requireProgram('openssl'), [
      ...['pkcs12', '-export', '-in', server.certFile, '-inkey', server.keyFile],
      ...['-out', identity, '-passout', `pass:${password}`],
    ]);
    const near = await startHalf(context, 'server', [
      '[server]',
      `bind_addr = "127.0.0.1:${tunnelPort}"`,
      `default_token = "${token}"`,
      '[server.transport]',
      'type = "tls"',
      '[server.transport.tls]',
      `pkcs12 = "${identity}"`,
      `pkcs12_password = "${password}"`,
      ...ports.flatMap(({ kind, port }) => [
        `[server.services.${kind}]`,
        `bind_addr = "127.0.0.1:${port}"`,
      ]),
    ]);
    const tunnelAddress = await context.through({ host: '127.0.0.1', port: tunnelPort });
    const far = await startHalf(context, 'client', [
      '[client]',
      `remote_addr = "${tunnelAddress.host}:${tunnelAddress.port}"`,
      `default_token = "${token}"`,
      '[client.transport]',
      'type = "tls"',
      '[client.transport.tls]',
      `trusted_root = "${caFile}"`,
      'hostname = "localhost"',
      ...ports.flatMap(({ kind, target }) => [
        `[client.services.${kind}]`,
        `local_addr = "${target.host}:${target.port}"`,
      ]),
    ]);
    return runningPair(near, far, route);
  },
};

async function startHalf(
  context: SystemContext,
  half: 'server' | 'client',
  lines: readonly string[],
): Promise<Program> {
  const file = join(context.directory, `rathole-${half}.toml`);
  await writeFile(file, [...lines, ''].join('\n'));
  return Program.start({
    name: `rathole ${half}`,
    command: requireProgram('rathole'),
    args: [`--${half}`, file],
    env: { RUST_LOG: 'warn' },
  });
}
