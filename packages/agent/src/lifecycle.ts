import type { AdminPorts } from '@fairlead/runtime/admin';
import { type Logger, logDraining } from '@fairlead/runtime/process';
import type { AgentFiles } from './agent-files.ts';
import type { AgentIdentity } from './identity/agent-identity.ts';
import type { AgentOptions } from './options.ts';
import type { createLeaseCount } from './servers/lease-count.ts';
import type { ServerTunnels } from './servers/server-tunnels.ts';
import type { PolicySource } from './streams/policy-source.ts';

interface AgentParts {
  readonly options: AgentOptions;
  readonly logger: Logger;
  readonly policies: PolicySource;
  readonly tunnels: ServerTunnels;
  readonly admin: AdminPorts;
  readonly files: AgentFiles;
  /** Only of an agent that gets its certificate by itself. */
  readonly identity: AgentIdentity | undefined;
  /** Only with `--count-server-leases`. */
  readonly leaseCount: Awaited<ReturnType<typeof createLeaseCount>> | undefined;
}

/** Starts, drains and closes the parts of an agent, in order. */
export class Lifecycle {
  readonly #parts: AgentParts;

  constructor(parts: AgentParts) {
    this.#parts = parts;
  }

  /**
   * Binds the ports, joins if the agent has no certificate, and starts to connect.
   * @returns the bound addresses, and `ended`, which rejects as FairleadAgent's does
   * @throws UsageError, StartupError; then the caller must call `close`
   */
  async start() {
    const { policies, admin, files, identity, leaseCount } = this.#parts;
    const addresses = await admin.listen();
    policies.ownPorts.add(addresses.health.port).add(addresses.admin.port);
    files.watchPolicy();
    leaseCount?.start();
    if (identity === undefined || (await identity.join())) {
      this.#connect();
      return { addresses, ended: new Promise<never>(() => {}) };
    }
    const joined = identity.keepJoining().then((hasJoined) => hasJoined && this.#connect());
    const ended = new Promise<never>((_, reject) => joined.catch(reject));
    // The caller may ignore `ended`: its rejection must not count as unhandled.
    ended.catch(() => {});
    return { addresses, ended };
  }

  /** Drains the tunnels within `gracefulShutdownTimeout`, then closes. */
  async drain(): Promise<void> {
    const { options, logger, tunnels } = this.#parts;
    const untilMs = performance.now() + options.gracefulShutdownTimeout;
    const progress = logDraining(logger, untilMs, () => tunnels.streamCount);
    await tunnels.drain(options.gracefulShutdownTimeout);
    clearInterval(progress);
    const streams = tunnels.streamCount;
    if (streams > 0) logger.warn({ streams }, 'open streams are cut');
    await this.close();
  }

  async close(): Promise<void> {
    const { tunnels, admin, files, identity, leaseCount } = this.#parts;
    identity?.close();
    const leasesClosed = leaseCount?.close();
    files.close();
    await tunnels.close();
    await Promise.all([admin.close(), leasesClosed]);
  }

  #connect(): void {
    const { files, tunnels, identity } = this.#parts;
    files.watchCertificates();
    tunnels.start();
    void identity?.keepRenewed(() => files.check());
  }
}
