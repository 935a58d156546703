export type { AgentStatus, ServerStatus, WorkerStatus } from './admin/status.ts';
export type { WhyAgent, WhyReport } from './admin/why.ts';
export type { ServerAddresses } from './assembly/lifecycle.ts';
export { type ServerOptions, serverOptions } from './options.ts';
export { createServer, type FairleadServer } from './server.ts';
