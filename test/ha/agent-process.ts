import { closeAfter, programs, RunningProcess, sharedTestPki } from '@fairlead/testkit';
import type { Test } from 'tap';
import { loopback } from '../support/fleet.ts';

/** Starts an agent in its own process, which can be frozen and killed. */
export async function startAgentProcess(
  t: Test,
  port: number,
  agentId: string,
  flags: readonly string[] = [],
): Promise<RunningProcess> {
  const { agent } = await sharedTestPki();
  return closeAfter(
    t,
    await RunningProcess.start(
      programs.agent,
      [
        `--proxy-server-host=${loopback}`,
        `--proxy-server-port=${port}`,
        `--ca-cert=${agent.caFile}`,
        `--agent-cert=${agent.client.certFile}`,
        `--agent-key=${agent.client.keyFile}`,
        `--agent-id=${agentId}`,
        `--health-server-host=${loopback}`,
        '--health-server-port=0',
        '--admin-server-port=0',
        '--reconnect-min=100ms',
        '--reconnect-max=500ms',
        ...flags,
      ],
      { name: agentId },
    ),
  );
}
