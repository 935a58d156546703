/** Combines the reports of several workers into the report of one server. */
import { type AdminReply, jsonReply } from '@fairlead/runtime/admin';
import type { AgentStatus, ServerStatus, WorkerStatus } from '../admin/status.ts';
import type { WhyReport } from '../admin/why.ts';

export interface WorkerReply {
  readonly worker: number;
  readonly reply: AdminReply;
}

/** One conflict per claim: all workers have the same agents. */
function mergedConflicts(reports: readonly ServerStatus[]): ServerStatus['conflicts'] {
  const conflicts = new Map(
    reports.flatMap((report) => report.conflicts.map((conflict) => [conflict.claim, conflict])),
  );
  return [...conflicts.values()];
}

/** The latest first; each worker has its own. */
function mergedRefusals(
  reports: readonly Pick<ServerStatus, 'refusals'>[],
): ServerStatus['refusals'] {
  return reports
    .flatMap(({ refusals }) => refusals)
    .toSorted((one, other) => other.at.localeCompare(one.at));
}

/** `/api/v1/status`: the tunnels of all workers, each with its worker. */
export function mergeStatus(
  serverId: string,
  workers: readonly WorkerStatus[],
  replies: readonly WorkerReply[],
): AdminReply {
  const reports = replies.map(({ worker, reply }) => ({ worker, ...read<ServerStatus>(reply) }));
  const [first] = reports;
  if (!first) return jsonReply(503, { serverId, workers });
  const agents = reports.flatMap(({ worker, agents: ofWorker }) =>
    ofWorker.map((agent): AgentStatus => ({ worker, ...agent })),
  );
  const status: ServerStatus = {
    version: first.version,
    serverId,
    uptimeMs: Math.max(...reports.map(({ uptimeMs }) => uptimeMs)),
    isDraining: reports.some(({ isDraining }) => isDraining),
    streams: reports.reduce((sum, { streams }) => sum + streams, 0),
    agentAuthorization: first.agentAuthorization,
    conflicts: mergedConflicts(reports),
    refusals: mergedRefusals(reports),
    workers,
    agents,
  };
  return jsonReply(200, status);
}

/** `/api/v1/why`: policy is the same everywhere, routing and dials are each worker's own. */
export function mergeWhy(replies: readonly WorkerReply[]): AdminReply {
  const refusal = replies.find(({ reply }) => reply.status !== 200);
  if (refusal) return refusal.reply;
  const reports = replies.map(({ worker, reply }) => ({ worker, ...read<WhyReport>(reply) }));
  const { target, policy } = reports[0]!;
  const unserved = reports.flatMap((report) => report.unserved ?? []);
  const isUnserved = unserved.length === reports.length;
  const routing = reports.map(({ routing: { choice } }) => choice);
  const isSame = routing.every((choice) => choice === routing[0]);
  const report: WhyReport = {
    target,
    policy,
    routing: {
      strategy: reports.find(({ routing: { strategy } }) => strategy)?.routing.strategy ?? null,
      matches: reports.reduce((sum, { routing: { matches } }) => sum + matches, 0),
      agents: reports.flatMap(({ worker, routing: { agents } }) =>
        agents.map((agent) => ({ worker, ...agent })),
      ),
      choice: isSame
        ? `${routing[0]}, in each worker`
        : reports
            .map(({ worker, routing: { choice } }) => `worker ${worker}: ${choice}`)
            .join('; '),
    },
    ...(isUnserved && {
      unserved: {
        ...unserved[0]!,
        claims: [...new Set(unserved.flatMap(({ claims }) => claims))].sort(),
        refusals: mergedRefusals(unserved),
      },
    }),
    dials: reports
      .flatMap(({ worker, dials }) => dials.map((dial) => ({ worker, ...dial })))
      .toSorted((one, other) => other.at.localeCompare(one.at)),
  };
  return jsonReply(200, report);
}

function read<T>({ body }: AdminReply): T {
  return JSON.parse(body) as T;
}
