import { defineOptions, kinds, option, type ParsedOptions } from '@fairlead/runtime/options';
import { counted, printableAll } from '@fairlead/runtime/process';
import type { WhyReport } from '@fairlead/server';
import { commandEntry } from '../command-set.ts';
import { adminOptions, askAdmin } from './admin-request.ts';
import { refusalLines } from './refusal-lines.ts';

const table = defineOptions({
  program: 'fairlead why',
  summary: 'Explain what a running server does with a target: policy, agents, last dials',
  examples: [
    'fairlead why node-1:10250',
    'fairlead why 10.0.0.7:443 --caller cn:kube-apiserver,o:system:masters',
  ],
  positionals: { usage: 'HOST:PORT', min: 1, max: 1 },
  options: {
    ...adminOptions,
    caller: option(kinds.list({ ...kinds.text, placeholder: 'CALLER' }), {
      group: 'Server',
      description: 'Identity of the caller: uds, or cn:NAME with any number of o:NAME',
      default: [],
      defaultText: 'uds, and all callers in the policy',
    }),
  },
});

async function why({
  options: { admin, caller, json },
  positionals: [target = ''],
}: ParsedOptions<typeof table.options>): Promise<void> {
  const query = [
    ['target', target],
    ...caller.map((identity) => ['caller', identity] as const),
  ] as const;
  const report = (await askAdmin(admin, '/api/v1/why', query)) as WhyReport;
  process.stdout.write(json ? `${JSON.stringify(report)}\n` : explain(printableAll(report)));
}

export const runWhyCommand = commandEntry(table, why).run;

function explain({ target, policy, routing, unserved, dials }: WhyReport): string {
  const lines = [`target   ${target}`];
  for (const { caller, isAllowed, reason } of policy.callers) {
    lines.push(`policy   ${caller}: ${isAllowed ? 'allowed' : 'DENIED'}, ${reason}`);
  }
  if (routing.strategy === null) {
    lines.push('agents   none serves this target', ...explainUnserved(unserved));
  } else {
    lines.push(`agents   strategy ${routing.strategy} finds ${routing.matches}`);
  }
  for (const agent of routing.agents) {
    const state = (agent.isDraining ? ', draining' : '') + (agent.isFailing ? ', failing' : '');
    const by = ofWorker(agent);
    lines.push(
      `         ${agent.agentId} at ${agent.address}${by}, ${counted(agent.streams, 'stream')}${state}`,
    );
    if (agent.uncovered.length > 0) {
      lines.push(`           not covered by its certificate: ${agent.uncovered.join(' ')}`);
    }
  }
  if (routing.matches > routing.agents.length) {
    lines.push(`         and ${routing.matches - routing.agents.length} more`);
  }
  lines.push(`choice   ${routing.choice}`);
  if (dials.length === 0) lines.push('dials    no recent dials');
  for (const { at, caller, agentId, outcome, durationMs, detail, worker } of dials) {
    const through = agentId === undefined ? '' : ` through ${agentId}`;
    lines.push(
      `dial     ${at} by ${caller}${through}${ofWorker({ worker })}: ${outcome} after ${durationMs} ms`,
    );
    if (detail !== undefined) lines.push(`           ${detail}`);
  }
  return `${lines.join('\n')}\n`;
}

/** Where to look for the reason; an older server does not say. */
function explainUnserved(unserved: WhyReport['unserved']): string[] {
  if (!unserved) return [];
  const { strategies, claims, claimCount, refusals } = unserved;
  const more = claimCount > claims.length ? ` and ${claimCount - claims.length} more` : '';
  return [
    `asked    ${strategies.join(', ')}`,
    `claims   ${claims.join(' ') || 'none'}${more}`,
    ...refusalLines('refused  ', refusals),
  ];
}

const ofWorker = ({ worker }: { readonly worker?: number | undefined }): string =>
  worker === undefined ? '' : ` in worker ${worker}`;
