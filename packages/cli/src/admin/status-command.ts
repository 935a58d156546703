import { defineOptions, type ParsedOptions } from '@fairlead/runtime/options';
import { printableAll, StartupError } from '@fairlead/runtime/process';
import type { ServerStatus } from '@fairlead/server';
import { commandEntry } from '../command-set.ts';
import { adminOptions, askAdmin } from './admin-request.ts';
import { columns } from './columns.ts';

const table = defineOptions({
  program: 'fairlead status',
  summary: 'Show the agents of a running server, what they claim, and what they carry',
  options: adminOptions,
});

async function status({
  options: { admin, json },
}: ParsedOptions<typeof table.options>): Promise<void> {
  const report = (await askAdmin(admin, '/api/v1/status')) as ServerStatus;
  // An agent's admin port has the same path with another report.
  if (!Array.isArray(report?.agents)) {
    throw new StartupError(
      `--admin ${admin.href}: the answer is not the status of a server. Set --admin to the --admin-port of a server, not of an agent`,
    );
  }
  process.stdout.write(json ? `${JSON.stringify(report)}\n` : describe(printableAll(report)));
}

export const runStatusCommand = commandEntry(table, status).run;

function describe(report: ServerStatus): string {
  const { workers = [] } = report;
  const agentCount = new Set(report.agents.map(({ agentId }) => agentId)).size;
  const agents =
    workers.length > 0
      ? `${report.agents.length} tunnels of ${agentCount} agents`
      : `${report.agents.length} agents`;
  const lines = [
    `server ${report.serverId}, version ${report.version}: ${report.streams} streams, ` +
      `${agents}, agent authorization ${report.agentAuthorization}`,
  ];
  for (const { worker, pid, state, reason, replacements } of workers) {
    const why = reason === undefined ? '' : ` (${reason})`;
    const past = replacements === 0 ? '' : `, replaced ${replacements} times`;
    lines.push(`worker ${worker}, pid ${pid ?? '-'}: ${state}${why}${past}`);
  }
  const rows = report.agents.map((agent) => [
    ...(workers.length > 0 ? [String(agent.worker)] : []),
    agent.agentId,
    agent.address,
    agent.commonName ?? agent.node ?? agent.account ?? '-',
    agent.transport +
      (agent.isDraining ? ' (draining)' : '') +
      (agent.isFailing ? ' (failing)' : ''),
    String(agent.streams),
    agent.minRttMs === null ? '-' : `${agent.minRttMs.toFixed(1)} ms`,
    String(agent.receivedBytes),
    String(agent.sentBytes),
  ]);
  if (rows.length > 0) {
    const head = ['AGENT', 'ADDRESS', 'IDENTITY', 'TRANSPORT', 'STREAMS', 'RTT', 'IN', 'OUT'];
    lines.push('', ...columns([workers.length > 0 ? ['WORKER', ...head] : head, ...rows]));
  }
  const uncoveredLines = report.agents
    .filter(({ uncovered }) => uncovered.length > 0)
    .map(({ agentId, uncovered, commonName, account }) => {
      const credential = commonName === null && account !== null ? 'token' : 'certificate';
      return `${agentId}: its ${credential} does not cover ${uncovered.join(' ')}`;
    });
  for (const line of new Set(uncoveredLines)) lines.push('', line);
  for (const { claim, agents } of report.conflicts) {
    const claimants = agents.map(({ agentId, address }) => `${agentId} (${address})`);
    lines.push('', `${claim} is claimed by ${claimants.join(' and ')}`);
  }
  return `${lines.join('\n')}\n`;
}
