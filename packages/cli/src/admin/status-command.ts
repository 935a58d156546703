import { defineOptions, type ParsedOptions } from '@fairlead/runtime/options';
import { counted, printableAll, StartupError } from '@fairlead/runtime/process';
import type { ServerStatus } from '@fairlead/server';
import { commandEntry } from '../command-set.ts';
import { adminOptions, askAdmin } from './admin-request.ts';
import { durationText, sizeText } from './amounts.ts';
import { columns } from './columns.ts';
import { refusalLines } from './refusal-lines.ts';

const table = defineOptions({
  program: 'fairlead status',
  summary: 'Show the agents of a running server, what they claim, and what they carry',
  examples: ['fairlead status --admin http://127.0.0.1:8095', 'fairlead status --json'],
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

const maxClaims = 8;

function describe(report: ServerStatus): string {
  const { workers = [] } = report;
  const agentCount = new Set(report.agents.map(({ agentId }) => agentId)).size;
  const agents =
    workers.length > 0
      ? `${counted(report.agents.length, 'tunnel')} of ${counted(agentCount, 'agent')}`
      : counted(report.agents.length, 'agent');
  // Older servers report neither.
  const { uptimeMs, isDraining = false } = report as Partial<ServerStatus>;
  const uptime = uptimeMs === undefined ? '' : `, up ${durationText(uptimeMs)}`;
  const drain = isDraining ? ', draining' : '';
  const lines = [
    `server ${report.serverId}, version ${report.version}${uptime}${drain}: ${counted(report.streams, 'stream')}, ` +
      `${agents}, agent authorization ${report.agentAuthorization}`,
  ];
  for (const { worker, pid, state, reason, replacements } of workers) {
    const why = reason === undefined ? '' : ` (${reason})`;
    const past = replacements === 0 ? '' : `, replaced ${counted(replacements, 'time')}`;
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
    sizeText(agent.receivedBytes),
    sizeText(agent.sentBytes),
  ]);
  if (rows.length > 0) {
    const head = ['AGENT', 'ADDRESS', 'IDENTITY', 'TRANSPORT', 'STREAMS', 'RTT', 'IN', 'OUT'];
    lines.push('', ...columns([workers.length > 0 ? ['WORKER', ...head] : head, ...rows]));
  }
  const claimLines = report.agents.map(({ agentId, covered, uncovered }) => {
    const claims = [...covered, ...uncovered];
    const more = claims.length > maxClaims ? ` and ${claims.length - maxClaims} more` : '';
    return `${agentId} claims ${claims.slice(0, maxClaims).join(' ') || 'nothing'}${more}`;
  });
  if (claimLines.length > 0) lines.push('', ...new Set(claimLines));
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
  const refused = refusalLines('refused ', report.refusals);
  if (refused.length > 0) lines.push('', ...refused);
  return `${lines.join('\n')}\n`;
}
