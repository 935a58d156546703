import type { Logger } from '@fairlead/runtime/process';
import { AgentDenyList, type TlsFiles } from '@fairlead/runtime/tls';
import type { AgentPeer } from '../agents/agent-peer.ts';
import { FrontEndPolicy } from '../front-end/front-end-policy.ts';
import { loadAgentPortTls, loadFrontEndTls } from '../listeners/tls.ts';
import type { ServerOptions } from '../options.ts';

/** The contents of the server's files. If a changed file is invalid, the old content stays in use. */
export class ServerFiles {
  agentTls: TlsFiles;
  /** Undefined if the front end does not listen on TCP. */
  frontEndTls: TlsFiles | undefined;
  policy: FrontEndPolicy | undefined;
  readonly #options: ServerOptions;
  readonly #logger: Logger;
  readonly #ticketSecret: Uint8Array | undefined;
  #denyList: AgentDenyList | undefined;

  /**
   * Reads all files.
   * @param ticketSecret what the workers of a server share for their TLS session tickets
   * @throws UsageError that names flag, file and cure
   */
  constructor(options: ServerOptions, logger: Logger, ticketSecret: Uint8Array | undefined) {
    this.#options = options;
    this.#logger = logger;
    this.#ticketSecret = ticketSecret;
    this.agentTls = this.readAgentTls();
    this.frontEndTls = this.readFrontEndTls();
    this.reloadPolicy();
    this.reloadDenyList();
  }

  /** The deny-list entry of a peer, as a reason to refuse it. */
  readonly whyDenied = (peer: AgentPeer): string | undefined => {
    const entry = this.#denyList?.entryFor(peer);
    return entry === undefined ? undefined : `--agent-denylist has ${entry}`;
  };

  /** Reads the TLS files of the agent port. The caller replaces `agentTls` once the new ones are in use. */
  readAgentTls(): TlsFiles {
    return this.#warned(loadAgentPortTls(this.#options, this.#ticketSecret, this.agentTls));
  }

  /** The same for the front end; undefined without a certificate. */
  readFrontEndTls(): TlsFiles | undefined {
    const tls = loadFrontEndTls(this.#options, this.#ticketSecret, this.frontEndTls);
    return tls && this.#warned(tls);
  }

  reloadPolicy(): void {
    const { frontendPolicy: path } = this.#options;
    if (path !== undefined) this.policy = FrontEndPolicy.read({ flag: '--frontend-policy', path });
  }

  reloadDenyList(): void {
    const { agentDenylist: path } = this.#options;
    if (path !== undefined) this.#denyList = AgentDenyList.read({ flag: '--agent-denylist', path });
  }

  #warned(tls: TlsFiles): TlsFiles {
    for (const warning of tls.warnings) this.#logger.warn(warning);
    return tls;
  }
}
