import { defineOptions, type ParsedOptions, runCommand } from '@fairlead/runtime';
import type { ServerStatus } from '@fairlead/server';
import { adminOptions, askAdmin } from './admin-request.ts';
import { columns } from './columns.ts';
import { programVersion } from './program-version.ts';

const table = defineOptions({
  program: 'fairlead status',
  summary: 'Show the agents of a running server, what they claim, and what they carry',
  options: adminOptions,
});

async function status({
  options: { admin, json },
}: ParsedOptions<typeof table.options>): Promise<void> {
  const report = (await askAdmin(admin, '/api/v1/status')) as ServerStatus;
  process.stdout.write(json ? `${JSON.stringify(report)}\n` : describe(report));
}

/** `fairlead status`. */
export const runStatusCommand = (argv: readonly string[]): Promise<void> =>
  runCommand({ table, version: programVersion(), run: status }, { argv, env: process.env });

function describe(report: ServerStatus): string {
  const lines = [
    `server ${report.serverId}, version ${report.version}: ${report.streams} streams, ` +
      `${report.agents.length} agents, agent authorization ${report.agentAuthorization}`,
  ];
  const rows = report.agents.map((agent) => [
    agent.agentId,
    agent.address,
    agent.commonName ?? '-',
    agent.isDraining ? `${agent.transport} (draining)` : agent.transport,
    String(agent.streams),
    agent.minRttMs === null ? '-' : `${agent.minRttMs.toFixed(1)} ms`,
    String(agent.receivedBytes),
    String(agent.sentBytes),
  ]);
  if (rows.length > 0) {
    const head = ['AGENT', 'ADDRESS', 'CERTIFICATE', 'TRANSPORT', 'STREAMS', 'RTT', 'IN', 'OUT'];
    lines.push('', ...columns([head, ...rows]));
  }
  for (const { agentId, uncovered } of report.agents) {
    if (uncovered.length > 0) {
      lines.push('', `${agentId}: its certificate does not cover ${uncovered.join(' ')}`);
    }
  }
  for (const { claim, agents } of report.conflicts) {
    const who = agents.map(({ agentId, address }) => `${agentId} (${address})`);
    lines.push('', `${claim} is claimed by ${who.join(' and ')}`);
  }
  return `${lines.join('\n')}\n`;
}
