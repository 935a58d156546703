/** A part of a fleet: many agents in one process, each a real agent with all its parts. */
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { AgentOptions, createAgent, FairleadAgent } from '@fairlead/agent';
import type { createLogger } from '@fairlead/runtime/process';
import { serveCalls } from '../process/calls.ts';
import type { FleetOrder, FleetState } from './fleet-order.ts';
import { countHandshakes, handshakes } from './handshakes.ts';

const pollMs = 10;
/** Agents that start at the same moment in one process. */
const startedAtOnce = 50;

let agents: FairleadAgent[] = [];

serveCalls({
  /** Loads the agents' code, so that its memory is not counted as theirs. */
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

  /** Resolves when all agents are connected, or all have noticed that they are not. */
  async reach(wanted: FleetState) {
    const isThere = () => agents.every(({ isReady }) => isReady === (wanted === 'ready'));
    while (!isThere()) await new Promise((resolve) => setTimeout(resolve, pollMs));
  },

  takeHandshakes: () => handshakes.take(),
});

interface AgentCode {
  readonly createAgent: typeof createAgent;
  readonly logger: ReturnType<typeof createLogger>;
}

/** From the checkout that is measured, which need not be the bench's own. */
async function loadAgentCode(root: string): Promise<AgentCode> {
  const load = (path: string) => import(pathToFileURL(join(root, path)).href);
  const agent = await load('packages/agent/dist/index.js');
  const runtime = await load('packages/runtime/dist/process/logger.js');
  const nowhere = { write() {} };
  return { createAgent: agent.createAgent, logger: runtime.createLogger('silent', nowhere) };
}
