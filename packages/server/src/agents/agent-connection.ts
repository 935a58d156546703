import type { DialingTunnel } from '@fairlead/konnectivity';
import {
  type Hello,
  type MemoryBudget,
  type Session,
  type Target,
  TunnelError,
} from '@fairlead/protocol';
import type { TokenBuckets } from '@fairlead/runtime/net';
import type { Logger } from '@fairlead/runtime/process';
import type { ServerMetrics } from '../admin/metrics.ts';
import type { ServerOptions } from '../options.ts';
import { DialFailures } from '../routing/dial-failures.ts';
import { type AgentClaims, parseAgentIdentifiers } from './agent-identifiers.ts';
import { type AgentPeer, peerFields } from './agent-peer.ts';
import type { AuthorizeAgent } from './auth/agent-authorization.ts';
import type { Backend, BackendDialHandler } from './backend.ts';
import type { Backends } from './backends.ts';
import { conflictsOf } from './exclusive-claims.ts';

/** What the connections of all agents share. */
export interface AgentConnectionHost {
  readonly options: ServerOptions;
  readonly logger: Logger;
  readonly callObserver: ReturnType<ServerMetrics['grpcCalls']>;
  /** Bounds the bytes that all connections buffer together. */
  readonly memory: MemoryBudget;
  readonly backends: Backends;
  readonly authorize: AuthorizeAgent;
  /** By agent: how often it may change its identifiers. */
  readonly identifierChanges: TokenBuckets;
  /** The number and addresses of servers, for HELLO. */
  servers(): Hello;
  /** The reason to refuse a peer whose certificate or token is valid; undefined to accept it. */
  whyDenied(peer: AgentPeer): string | undefined;
}

/**
 * One agent's tunnel, from its admission to its end. Its states, in this order:
 *
 * - `unauthenticated`: the agent's token is awaited or being verified (spec 2.12); skipped without tokens.
 * - `authenticated`: the identity is proven, the agent's claims are awaited.
 * - `serving`: the claims are accepted, the connection is a backend.
 * - `closed`: it is no longer a backend; its transport may still send what was queued.
 */
export abstract class AgentConnection implements Backend {
  abstract readonly session: Session | DialingTunnel;
  agentId = '';
  peer: AgentPeer;
  claims: AgentClaims = {
    covered: parseAgentIdentifiers(''),
    uncovered: parseAgentIdentifiers(''),
  };
  state: 'unauthenticated' | 'authenticated' | 'serving' | 'closed';
  protected readonly host: AgentConnectionHost;
  readonly #transport: string;
  readonly #dialFailures = new DialFailures((error) => this.#onFailing(error));
  readonly #startedAtMs = performance.now();

  constructor(
    host: AgentConnectionHost,
    peer: AgentPeer,
    transport: string,
    state: 'unauthenticated' | 'authenticated',
  ) {
    this.host = host;
    this.peer = peer;
    this.#transport = transport;
    this.state = state;
  }

  get isDraining(): boolean {
    return this.session.isDraining;
  }

  get isSilent(): boolean {
    return false;
  }

  get isFailing(): boolean {
    return this.#dialFailures.isFailing;
  }

  onDialEnd(error?: TunnelError): void {
    if (this.state === 'serving') this.#dialFailures.record(error);
  }

  get load(): number {
    return this.session.streamCount;
  }

  abstract dial(target: Target, handler: BackendDialHandler): { reset(error: TunnelError): void };

  /** Asks the agent to use other servers; open streams go on, and new ones if there is no other way. */
  drain(): void {}

  /** Sends the agent the current number and addresses of servers. */
  announceServers(): void {}

  closeIfDenied(): void {
    const reason = this.host.whyDenied(this.peer);
    if (reason !== undefined) this.close(new TunnelError('unauthorized', reason));
  }

  close(error?: TunnelError): void {
    if (this.state !== 'closed') this.session.close(error);
  }

  protected serve(agentId: string, claims: AgentClaims, software: string | undefined): void {
    this.agentId = agentId;
    this.claims = claims;
    this.state = 'serving';
    this.host.backends.add(this);
    this.warnOfConflicts();
    this.host.logger.info({ ...this.fields, software }, 'agent connected');
  }

  protected warnOfConflicts(): void {
    const { backends, logger } = this.host;
    for (const conflict of conflictsOf(this, backends)) logger.warn(conflict, 'claimed twice');
  }

  protected onDraining(reason?: string): void {
    this.host.backends.refresh(this);
    this.host.logger.info({ ...this.fields, reason }, 'agent drains');
  }

  protected onClose(error: TunnelError | undefined): void {
    const fields = {
      ...this.fields,
      durationMs: Math.round(performance.now() - this.#startedAtMs),
      code: error?.code,
      reason: error?.message,
    };
    this.state = 'closed';
    this.#dialFailures.close();
    this.host.backends.remove(this);
    const { logger } = this.host;
    // The agent searched for other servers and found this one again: nothing is lost.
    if (error?.code === 'duplicate_tunnel') logger.debug(fields, 'duplicate tunnel');
    else if (error) logger.warn(fields, 'agent disconnected');
    else logger.info(fields, 'agent disconnected');
  }

  #onFailing(error: TunnelError | undefined): void {
    const { backends, logger } = this.host;
    backends.refresh(this);
    if (error) logger.warn({ ...this.fields, detail: error.message }, 'agent cannot dial');
    else logger.info(this.fields, 'agent is tried again');
  }

  protected get fields(): object {
    const agent = this.state === 'serving' ? this.agentId : undefined;
    return { agent, ...peerFields(this.peer), transport: this.#transport };
  }
}
