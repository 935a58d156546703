export { type ServerOptions, serverOptions } from './options.ts';
export { createServer, type FairleadServer, type ServerAddresses } from './server.ts';
