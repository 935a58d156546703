export type { AgentStatus, ServerStatus, WorkerStatus } from './admin/status.ts';
export type { WhyAgent, WhyReport } from './admin/why.ts';
export { type ServerOptions, serverOptions } from './options.ts';
export { createServer, type FairleadServer, type ServerAddresses } from './server.ts';
