import { formatTarget, type Target, TunnelError } from '@fairlead/protocol';
import { type AdminReply, type AdminRoutes, jsonReply, textReply } from '@fairlead/runtime/admin';
import { claimTexts } from '../agents/agent-identifiers.ts';
import type { Backend } from '../agents/backend.ts';
import type { Caller } from '../front-end/caller.ts';
import { parseConnectTarget } from '../front-end/connect-target.ts';
import type { FrontEndPolicy } from '../front-end/front-end-policy.ts';
import { stateOf } from '../routing/backend-pool.ts';
import type { DialHistory, DialRecord } from '../routing/dial-history.ts';
import type { Router } from '../routing/router.ts';
import type { AgentRefusal, RecentRefusals } from './recent-refusals.ts';
import type { AgentStatus } from './status.ts';

/** The response of `/api/v1/why`: how the server would serve a target. */
export interface WhyReport {
  readonly target: string;
  readonly policy: {
    /** Without a policy file, every caller may reach every target. */
    readonly isConfigured: boolean;
    readonly callers: readonly {
      readonly caller: string;
      readonly isAllowed: boolean;
      readonly reason: string;
    }[];
  };
  readonly routing: {
    /** The first strategy that finds an agent; null if none does. */
    readonly strategy: string | null;
    readonly matches: number;
    /** At most `maxAgents` of the matches. */
    readonly agents: readonly WhyAgent[];
    readonly choice: string;
  };
  /** Only if no agent serves the target: where to look for the reason. */
  readonly unserved?: {
    /** The strategies that found no agent, in their order. */
    readonly strategies: readonly string[];
    /** At most `maxClaims` of the agents' claims. */
    readonly claims: readonly string[];
    readonly claimCount: number;
    /** Agents that were refused lately, the latest first. */
    readonly refusals: readonly AgentRefusal[];
  };
  /** The latest first. */
  readonly dials: readonly DialRecord[];
}

export type WhyAgent = Pick<
  AgentStatus,
  | 'worker'
  | 'agentId'
  | 'address'
  | 'commonName'
  | 'isDraining'
  | 'isFailing'
  | 'streams'
  | 'covered'
  | 'uncovered'
>;

const maxAgents = 20;
const maxClaims = 20;

/**
 * `/api/v1/why?target=HOST:PORT`: the policy's decision, the matching agents, and the last dials. `caller=` is
 * `uds`, `cn:NAME` or `o:NAME`; the latter two may be repeated and combined.
 */
export function whyRoutes(
  router: Router,
  history: DialHistory,
  refusals: RecentRefusals,
  policy: () => FrontEndPolicy | undefined,
): AdminRoutes {
  return { '/api/v1/why': (query) => why(router, history, refusals, policy(), query) };
}

function why(
  router: Router,
  history: DialHistory,
  refusals: RecentRefusals,
  rules: FrontEndPolicy | undefined,
  query: URLSearchParams,
): AdminReply {
  let target: Target;
  try {
    target = parseConnectTarget(query.get('target') ?? '');
  } catch (error) {
    if (error instanceof TunnelError) return textReply(400, `target: ${error.message}`);
    throw error;
  }
  const names = query.getAll('caller');
  const bad = names.find((name) => !/^(?:uds|cn:.+|o:.+)$/.test(name));
  if (bad !== undefined) return textReply(400, `caller: "${bad}" is none of uds, cn:NAME, o:NAME`);
  const callers =
    names.length > 0
      ? [names]
      : [...new Set(['uds', ...(rules?.callers ?? [])])].map((name) => [name]);
  const matches = router.matches(target);
  const report: WhyReport = {
    target: formatTarget(target),
    policy: {
      isConfigured: rules !== undefined,
      callers: callers.map((caller) => ({
        caller: caller.join(' '),
        ...(rules?.decide(callerOf(caller), target) ?? {
          isAllowed: true,
          reason: 'there is no --frontend-policy',
        }),
      })),
    },
    routing: {
      strategy: matches?.strategy ?? null,
      matches: matches?.backends.length ?? 0,
      agents: (matches?.backends ?? []).slice(0, maxAgents).map(describeAgent),
      choice: choiceAmong(matches?.backends ?? []),
    },
    ...(!matches && { unserved: describeUnserved(router, refusals) }),
    dials: history.of(target),
  };
  return jsonReply(200, report);
}

function describeUnserved(
  router: Router,
  { all }: RecentRefusals,
): NonNullable<WhyReport['unserved']> {
  const { claims, names } = router;
  return {
    strategies: names,
    claims: claims.slice(0, maxClaims),
    claimCount: claims.length,
    refusals: all,
  };
}

function callerOf(names: readonly string[]): Caller {
  const isUds = names.includes('uds');
  const commonName = names.find((name) => name.startsWith('cn:'))?.slice(3);
  return {
    kind: isUds ? 'uds' : 'mtls',
    ...(!isUds && commonName !== undefined && { commonName }),
    organizations: names.filter((name) => name.startsWith('o:')).map((name) => name.slice(2)),
    address: '',
  };
}

function describeAgent({ agentId, peer, isDraining, isFailing, load, claims }: Backend): WhyAgent {
  return {
    agentId,
    address: peer.address,
    commonName: peer.commonName ?? null,
    isDraining,
    isFailing,
    streams: load,
    covered: claimTexts(claims.covered),
    uncovered: claimTexts(claims.uncovered),
  };
}

const choices = {
  ready: 'that do not drain',
  draining: 'though all drain',
  failing: 'though all fail to dial',
  silent: 'though all are silent',
} as const;

/** @param backends the preferred ones first */
function choiceAmong(backends: readonly Backend[]): string {
  const [first, ...others] = backends;
  if (!first) return 'no agent serves this target';
  const state = stateOf(first);
  const count = 1 + others.filter((backend) => stateOf(backend) === state).length;
  if (count === 1) return `${first.agentId}, the only one`;
  return `the less loaded of two picked at random from ${count} ${choices[state]}`;
}
