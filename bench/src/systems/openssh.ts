import { existsSync } from 'node:fs';
import { copyFile, writeFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { findProgram, requireProgram } from '../process/find-program.ts';
import { findFreePorts } from '../process/free-ports.ts';
import { Program } from '../process/program.ts';
import { runProgram } from '../process/run-program.ts';
import { programVersion } from './program-version.ts';
import {
  runningPair,
  type System,
  type SystemContext,
  socketPath,
  socketRoutes,
} from './system.ts';

const cipher = 'aes128-gcm@openssh.com';
/** sshd as root needs this directory. On Debian, the ssh service creates it. */
const separationDirectory = '/run/sshd';

/** `ssh -R` from Unix domain sockets on the server's side. */
export const openssh: System = {
  name: 'openssh',
  about: `C; UDS front end of ssh -R, one SSH connection, ${cipher}, public keys on both sides`,
  isNode: false,
  isMultiplexed: true,
  missing() {
    if (!['sshd', 'ssh', 'ssh-keygen'].every(findProgram)) {
      return 'apt-get install openssh-server openssh-client';
    }
    const isRoot = process.getuid?.() === 0;
    return isRoot && !existsSync(separationDirectory) ? `mkdir ${separationDirectory}` : undefined;
  },
  version: () => programVersion(findProgram('ssh'), ['-V'], /OpenSSH_(\S+?),? /),
  async start(context: SystemContext) {
    const { directory } = context;
    const [hostKey, userKey] = [join(directory, 'host'), join(directory, 'user')];
    await Promise.all([hostKey, userKey].map(makeKey));
    await copyFile(`${userKey}.pub`, join(directory, 'authorized'));
    const [port = 0] = await findFreePorts(1);
    const sshd = await startServer(directory, hostKey, port);
    const tunnelAddress = await context.through({ host: '127.0.0.1', port });
    const forwards = [...context.targets].flatMap(([kind, target]) => [
      '-R',
      `${socketPath(context, kind)}:${target.host}:${target.port}`,
    ]);
    const ssh = await Program.start({
      name: 'ssh',
      command: requireProgram('ssh'),
      args: [
        ...['-N', '-F', 'none', '-i', userKey, '-c', cipher, '-p', String(tunnelAddress.port)],
        ...options({
          ExitOnForwardFailure: 'yes',
          StrictHostKeyChecking: 'accept-new',
          UserKnownHostsFile: join(directory, 'known'),
        }),
        ...forwards,
        `${userInfo().username}@${tunnelAddress.host}`,
      ],
    });
    return runningPair(sshd, ssh, socketRoutes(context));
  },
};

async function startServer(directory: string, hostKey: string, port: number): Promise<Program> {
  const file = join(directory, 'sshd_config');
  const lines = [
    `Port ${port}`,
    'ListenAddress 127.0.0.1',
    `HostKey ${hostKey}`,
    `AuthorizedKeysFile ${join(directory, 'authorized')}`,
    'StrictModes no',
    'UsePAM no',
    'PasswordAuthentication no',
    'PermitRootLogin prohibit-password',
    'AllowStreamLocalForwarding yes',
    'PidFile none',
    `Ciphers ${cipher}`,
    '',
  ];
  await writeFile(file, lines.join('\n'));
  return Program.start({
    name: 'sshd',
    command: requireProgram('sshd'),
    args: ['-D', '-e', '-f', file],
    ready: [/Server listening on/],
  });
}

async function makeKey(file: string): Promise<void> {
  await runProgram(requireProgram('ssh-keygen'), ['-q', '-t', 'ed25519', '-N', '', '-f', file]);
}

function options(values: Readonly<Record<string, string>>): string[] {
  return Object.entries(values).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
}
