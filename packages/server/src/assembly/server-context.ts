import { MemoryBudget } from '@fairlead/protocol';
import type { Logger } from '@fairlead/runtime/process';
import { HandshakeLimit } from '@fairlead/runtime/tls';
import { ServerMetrics } from '../admin/metrics.ts';
import type { ServerOptions } from '../options.ts';
import type { WorkerResources } from '../workers/messages.ts';
import { ServerFiles } from './server-files.ts';

/** What all parts of one server share. Two servers in one process share nothing. */
export class ServerContext {
  readonly options: ServerOptions;
  readonly logger: Logger;
  /** Given if this server is a worker. */
  readonly worker: WorkerResources | undefined;
  readonly files: ServerFiles;
  readonly metrics = new ServerMetrics();
  readonly handshakes: HandshakeLimit;
  /** Bounds the bytes that clients and agents make this server buffer. */
  readonly memory: MemoryBudget;

  /** @throws UsageError for a file that cannot be used */
  constructor(options: ServerOptions, logger: Logger, worker: WorkerResources | undefined) {
    this.options = options;
    this.logger = logger;
    this.worker = worker;
    this.files = new ServerFiles(options, logger, worker?.ticketSecret);
    this.handshakes = new HandshakeLimit(options.maxHandshakes, () =>
      this.metrics.onLimit('handshakes'),
    );
    this.memory = new MemoryBudget(options.maxProcessWindow);
  }
}
