export { createAgent, type FairleadAgent } from './agent.ts';
export { type AgentOptions, agentOptions } from './options.ts';
