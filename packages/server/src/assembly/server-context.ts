import { MemoryBudget } from '@fairlead/protocol';
import type { Logger } from '@fairlead/runtime/process';
import { HandshakeLimit } from '@fairlead/runtime/tls';
import { ServerMetrics } from '../admin/metrics.ts';
import type { ServerOptions } from '../options.ts';
import type { WorkerResources } from '../workers/messages.ts';
import { ServerFiles } from './server-files.ts';

/** What all parts of one server share. Two servers in one process share nothing. */
export type ServerContext = ReturnType<typeof createContext>;

/**
 * @param worker given if this server is a worker
 * @throws UsageError for a file that cannot be used
 */
export function createContext(options: ServerOptions, logger: Logger, worker?: WorkerResources) {
  const metrics = new ServerMetrics();
  return {
    options,
    logger,
    worker,
    metrics,
    files: new ServerFiles(options, logger, metrics.registry, worker?.ticketSecret),
    handshakes: new HandshakeLimit(options.maxHandshakes, () => metrics.onLimit('handshakes')),
    /** Bounds the bytes that clients and agents make this server buffer. */
    memory: new MemoryBudget(options.maxProcessWindow),
  };
}
