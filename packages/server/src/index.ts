export { type ServerOptions, serverOptions } from './options.ts';
export { createServer, type FairleadServer, type ServerAddresses } from './server.ts';
export type { AgentStatus, ServerStatus, WorkerStatus } from './status.ts';
export type { WhyAgent, WhyReport } from './why.ts';
