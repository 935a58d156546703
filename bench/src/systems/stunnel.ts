import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { findProgram, requireProgram } from '../process/find-program.ts';
import { findFreePorts } from '../process/free-ports.ts';
import { Program } from '../process/program.ts';
import { programVersion } from './program-version.ts';
import {
  runningPair,
  type System,
  type SystemContext,
  socketPath,
  socketRoutes,
  targetAddress,
} from './system.ts';

/** Two stunnels (C, OpenSSL) with one TLS connection per stream. */
export const stunnel: System = {
  name: 'stunnel',
  about: 'C; UDS front end, one mutual TLS 1.3 connection per stream, resumed sessions',
  isNode: false,
  isMultiplexed: false,
  missing: () => (findProgram('stunnel') ? undefined : 'apt-get install stunnel4'),
  version: () => programVersion(findProgram('stunnel'), ['-version'], /stunnel (\S+) on/),
  async start(context: SystemContext) {
    const kinds = [...context.targets.keys()];
    const ports = await findFreePorts(kinds.length);
    const { caFile, server, client } = context.pki.agent;
    const far = await startStunnel(context, 'far', [
      ...tls(caFile, server),
      ...kinds.flatMap((kind, i) => {
        const { host, port } = targetAddress(context, kind);
        return [`[${kind}]`, `accept = 127.0.0.1:${ports[i]}`, `connect = ${host}:${port}`];
      }),
    ]);
    const services: string[] = [];
    for (const [i, kind] of kinds.entries()) {
      const tunnelAddress = await context.through({ host: '127.0.0.1', port: ports[i]! });
      services.push(
        `[${kind}]`,
        'client = yes',
        `accept = ${socketPath(context, kind)}`,
        `connect = ${tunnelAddress.host}:${tunnelAddress.port}`,
      );
    }
    const near = await startStunnel(context, 'near', [...tls(caFile, client), ...services]);
    return runningPair(near, far, socketRoutes(context));
  },
};

function tls(caFile: string, { certFile, keyFile }: { certFile: string; keyFile: string }) {
  return [
    `cert = ${certFile}`,
    `key = ${keyFile}`,
    `CAfile = ${caFile}`,
    'verifyChain = yes',
    'sslVersionMin = TLSv1.3',
    'socket = l:TCP_NODELAY=1',
    'socket = r:TCP_NODELAY=1',
  ];
}

async function startStunnel(
  context: SystemContext,
  half: 'near' | 'far',
  lines: readonly string[],
): Promise<Program> {
  const file = join(context.directory, `stunnel-${half}.conf`);
  const general = ['foreground = yes', 'pid =', 'syslog = no', 'debug = notice'];
  await writeFile(file, [...general, ...lines, ''].join('\n'));
  return Program.start({
    name: `stunnel ${half}`,
    command: requireProgram('stunnel'),
    args: [file],
    ready: [/Configuration successful/],
  });
}
