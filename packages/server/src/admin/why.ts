import { formatTarget, type Target, TunnelError } from '@fairlead/protocol';
import { type AdminReply, type AdminRoutes, jsonReply, textReply } from '@fairlead/runtime/admin';
import { claimTexts } from '../agents/auth/claim-constraints.ts';
import type { Backend } from '../agents/backend.ts';
import type { Caller } from '../front-end/caller.ts';
import { parseConnectTarget } from '../front-end/connect-target.ts';
import type { FrontEndPolicy } from '../front-end/front-end-policy.ts';
import type { DialHistory, DialRecord } from '../routing/dial-history.ts';
import type { Router } from '../routing/router.ts';

export interface WhyOptions {
  readonly router: Router;
  readonly history: DialHistory;
  policy(): FrontEndPolicy | undefined;
}

/** The answer of `/api/v1/why`: what each layer makes of a target. */
export interface WhyReport {
  readonly target: string;
  readonly policy: {
    /** Without a file every caller may reach everything. */
    readonly isConfigured: boolean;
    readonly callers: readonly {
      readonly caller: string;
      readonly isAllowed: boolean;
      readonly reason: string;
    }[];
  };
  readonly routing: {
    /** The first strategy that finds an agent; null when none does. */
    readonly strategy: string | null;
    readonly matches: number;
    /** At most `maxAgents` of them. */
    readonly agents: readonly WhyAgent[];
    readonly choice: string;
  };
  /** The latest first. */
  readonly dials: readonly DialRecord[];
}

export interface WhyAgent {
  /** With `--workers`: whose tunnel it is. */
  readonly worker?: number;
  readonly agentId: string;
  readonly address: string;
  readonly commonName: string | null;
  readonly isDraining: boolean;
  readonly streams: number;
  readonly covered: readonly string[];
  readonly uncovered: readonly string[];
}

const maxAgents = 20;

/**
 * `/api/v1/why?target=HOST:PORT`: what policy and routing make of a target, and how the last dials
 * went. `caller=` is `uds`, `cn:NAME` or `o:NAME`; the latter two may be repeated and combined.
 */
export function whyRoutes(options: WhyOptions): AdminRoutes {
  return { '/api/v1/why': (query) => why(options, query) };
}

function why({ router, history, policy }: WhyOptions, query: URLSearchParams): AdminReply {
  let target: Target;
  try {
    target = parseConnectTarget(query.get('target') ?? '');
  } catch (error) {
    if (error instanceof TunnelError) return textReply(400, `target: ${error.message}`);
    throw error;
  }
  const words = query.getAll('caller');
  const bad = words.find((word) => !/^(?:uds|cn:.+|o:.+)$/.test(word));
  if (bad !== undefined) return textReply(400, `caller: "${bad}" is none of uds, cn:NAME, o:NAME`);
  const rules = policy();
  const asked =
    words.length > 0
      ? [words]
      : ['uds', ...(rules?.callers ?? [])].filter(isOnce).map((word) => [word]);
  const matches = router.matches(target);
  const report: WhyReport = {
    target: formatTarget(target),
    policy: {
      isConfigured: rules !== undefined,
      callers: asked.map((caller) => ({
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
    dials: history.of(target),
  };
  return jsonReply(200, report);
}

const isOnce = (word: string, index: number, all: readonly string[]): boolean =>
  all.indexOf(word) === index;

function callerOf(words: readonly string[]): Caller {
  const isUds = words.includes('uds');
  const commonName = words.find((word) => word.startsWith('cn:'))?.slice(3);
  return {
    kind: isUds ? 'uds' : 'mtls',
    ...(!isUds && commonName !== undefined && { commonName }),
    organizations: words.filter((word) => word.startsWith('o:')).map((word) => word.slice(2)),
    address: '',
  };
}

function describeAgent({ agentId, peer, isDraining, load, claims }: Backend): WhyAgent {
  return {
    agentId,
    address: peer.address,
    commonName: peer.commonName ?? null,
    isDraining,
    streams: load,
    covered: claimTexts(claims.covered),
    uncovered: claimTexts(claims.uncovered),
  };
}

function choiceAmong(backends: readonly Backend[]): string {
  if (backends.length === 0) return 'no agent serves this target';
  const heard = backends.filter(({ isSilent }) => !isSilent);
  const lasting = heard.filter(({ isDraining }) => !isDraining);
  const among = [lasting, heard, backends].find((each) => each.length > 0)!;
  if (among.length === 1) return `${among[0]!.agentId}, the only one`;
  const kind =
    among === lasting
      ? 'that do not drain'
      : among === heard
        ? 'though all drain'
        : 'though all are silent';
  return `the less loaded of two picked at random from ${among.length} ${kind}`;
}
