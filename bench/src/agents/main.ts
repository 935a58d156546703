/** A part of a fleet: many complete agents in one process. */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import type { AgentOptions, createAgent, FairleadAgent } from '@fairlead/agent';
import type { createLogger } from '@fairlead/runtime/process';
import { serveCalls } from '../process/calls.ts';
import type { FleetOrder, FleetState } from './fleet-order.ts';
import { countHandshakes, takeHandshakes } from './handshakes.ts';

const pollMs = 10;
/** The number of agents that start at the same time. */
const startedAtOnce = 50;

let agents: FairleadAgent[] = [];

serveCalls({
  /** Loads the agents' code before their memory is measured. */
  async load({ root }: FleetOrder) {
    countHandshakes();
    await loadAgentCode(root);
  },

  async start(order: FleetOrder) {
    const { createAgent, logger } = await loadAgentCode(order.root);
    const starters = Array.from({ length: order.agents }, (_, i) => () => {
      const options: Partial<AgentOptions> = {
        proxyServerHost: ['127.0.0.1'],
        proxyServerPort: order.serverPort,
        caCert: order.caFile,
        agentCert: order.certFile,
        agentKey: order.keyFile,
        agentId: `${order.name}-${i}`,
        transport: 'tls',
        healthServerPort: 0,
        healthServerHost: '127.0.0.1',
        adminServerPort: 0,
      };
      return createAgent(options, logger, {});
    });
    for (let i = 0; i < starters.length; i += startedAtOnce) {
      const batch = starters.slice(i, i + startedAtOnce);
      agents = [...agents, ...(await Promise.all(batch.map((start) => start())))];
    }
  },

  /** Resolves when all agents are ready, or when none is. */
  async reach(wanted: FleetState) {
    const isReached = () => agents.every(({ isReady }) => isReady === (wanted === 'ready'));
    while (!isReached()) await sleep(pollMs);
  },

  takeHandshakes,
});

interface AgentCode {
  readonly createAgent: typeof createAgent;
  readonly logger: ReturnType<typeof createLogger>;
}

/** Loads the code of the measured checkout, which can differ from this one. */
async function loadAgentCode(root: string): Promise<AgentCode> {
  const load = (path: string) => import(pathToFileURL(join(root, path)).href);
  const agent = await load('packages/agent/dist/index.js');
  const runtime = await load('packages/runtime/dist/process/logger.js');
  const nowhere = { write() {} };
  return { createAgent: agent.createAgent, logger: runtime.createLogger('silent', nowhere) };
}
