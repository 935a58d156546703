import { join } from 'node:path';
import {
  closeAfter,
  makeTemporaryDirectory,
  programs,
  RunningProcess,
  sharedTestPki,
} from '@fairlead/testkit';
import type { Test } from 'tap';
import { loopback } from '../support/fleet.ts';
import type { LoadedServer } from './load.ts';

export interface ServerProcess extends LoadedServer {
  readonly process: RunningProcess;
  readonly agentPort: number;
}

/** Starts a server in its own process, which can be killed. Resolves when it listens. */
export async function startServerProcess(
  t: Test,
  id: string,
  flags: readonly string[] = [],
): Promise<ServerProcess> {
  const { agent } = await sharedTestPki();
  const directory = await makeTemporaryDirectory();
  t.teardown(() => directory.close());
  const uds = { path: join(directory.path, 'uds') };
  const process = closeAfter(
    t,
    await RunningProcess.start(
      programs.server,
      [
        `--server-id=${id}`,
        `--uds-name=${uds.path}`,
        `--cluster-cert=${agent.server.certFile}`,
        `--cluster-key=${agent.server.keyFile}`,
        `--cluster-ca-cert=${agent.caFile}`,
        `--agent-bind-address=${loopback}`,
        '--agent-port=0',
        `--health-bind-address=${loopback}`,
        '--health-port=0',
        '--admin-port=0',
        '--agents-settle-time=500ms',
        ...flags,
      ],
      { name: id },
    ),
  );
  const [{ port: agentPort }, { port: healthPort }] = await Promise.all([
    process.waitForListener('agent'),
    process.waitForListener('health'),
    process.waitForListener('frontend'),
  ]);
  return { id, uds, agentPort, healthPort, process };
}
