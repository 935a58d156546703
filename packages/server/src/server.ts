import { completeOptions } from '@fairlead/runtime/options';
import { type Logger, UsageError } from '@fairlead/runtime/process';
import { createAdminSide } from './assembly/admin-side.ts';
import { createAgentSide } from './assembly/agent-side.ts';
import { createFrontEndSide } from './assembly/front-end-side.ts';
import { createLifecycle, type ServerAddresses } from './assembly/lifecycle.ts';
import { createContext } from './assembly/server-context.ts';
import { type ServerOptions, serverOptions } from './options.ts';
import type { WorkerResources } from './workers/messages.ts';

export interface FairleadServer {
  readonly addresses: ServerAddresses;
  /**
   * Refuses new streams and lets open ones finish, for at most `gracefulShutdownTimeout`; then ends
   * everything.
   */
  drain(): Promise<void>;
  /** Checks now whether certificates and policies have changed. It also does this by itself. */
  reload(): void;
  /** The number of agents and streams, in one line. */
  describe(): string;
  /** Ends everything at once. */
  close(): Promise<void>;
}

/**
 * Starts a server in this process. Several servers in one process are independent.
 * @param given options by their camelCase names; the others get their defaults
 * @throws UsageError for options and files that cannot be used, StartupError for ports that cannot be opened
 */
export async function createServer(
  given: Partial<ServerOptions>,
  logger: Logger,
): Promise<FairleadServer> {
  const options = completeOptions(serverOptions, given);
  if (options.workers > 1) {
    throw new UsageError(
      '--workers: createServer() starts one server. Run fairlead-server instead.',
    );
  }
  const { lifecycle } = await assembleServer(options, logger);
  const { drain, close, reload, describe } = lifecycle;
  return { addresses: await lifecycle.start(), drain, close, reload, describe };
}

/**
 * Creates the parts of a server, each from those before it. Nothing listens before `lifecycle.start()`.
 * @param options complete and checked
 * @param worker what the primary gives this server if it is a worker
 * @throws UsageError for files that cannot be used
 */
export async function assembleServer(
  options: ServerOptions,
  logger: Logger,
  worker?: WorkerResources,
) {
  const context = createContext(options, logger, worker);
  const agents = await createAgentSide(context);
  const frontEnd = createFrontEndSide(context, agents.router);
  const admin = createAdminSide(context, agents, frontEnd);
  const lifecycle = createLifecycle(context, agents, frontEnd, admin);
  return {
    lifecycle,
    readiness: agents.readiness,
    reports: admin.reports,
    registry: context.metrics.registry,
  };
}
