import {
  type Hello,
  MemoryBudget,
  Session,
  type Transport,
  TunnelError,
  toTunnelError,
} from '@fairlead/protocol';
import type { Logger } from '@fairlead/runtime';
import type { AgentAuthorizer } from './agent-authorization.ts';
import type { AgentPeer } from './agent-port/agent-peer.ts';
import { TunnelBackend } from './backend.ts';
import type { Backends } from './backends.ts';
import type { ExclusiveClaims } from './exclusive-claims.ts';
import { type TokenBucketOptions, TokenBuckets } from './frontend/token-buckets.ts';
import type { ServerOptions } from './options.ts';
import { version } from './version.ts';

/** Who decides what agents may do. */
export interface TunnelRules {
  readonly authorizer: AgentAuthorizer;
  readonly exclusiveClaims: ExclusiveClaims;
  /** Why a peer with a valid certificate may not be here all the same. */
  whyDenied(peer: AgentPeer): string | undefined;
  /** Told of each tunnel that is refused for its claims. */
  onUnauthorized(): void;
}

/** How often the agent of one certificate may change what it claims: a node's labels, not a stream of data. */
const identifierChanges: TokenBucketOptions = { burst: 20, perSecond: 1 };

/** Made once: an agent may ask as often as it likes. */
const agentsOpenNoStreams = new TunnelError('unauthorized', 'agents open no streams');

/** Runs a session on every tunnel and keeps the list of backends in step. */
export class Tunnels {
  readonly #options: ServerOptions;
  readonly #logger: Logger;
  readonly #backends: Backends;
  readonly #rules: TunnelRules;
  /** What the tunnels of this process may hold together, whatever they speak. */
  readonly memory: MemoryBudget;
  readonly #sessions = new Map<Session, TunnelBackend | undefined>();
  readonly #changes = new TokenBuckets(identifierChanges);
  readonly #agents = new WeakMap<Session, AgentPeer>();
  #peers: readonly string[] | undefined;
  /** Of these and of tunnels that are gone: the transports that may still have bytes to send. */
  readonly #transports = new Set<Promise<void>>();

  constructor(options: ServerOptions, logger: Logger, backends: Backends, rules: TunnelRules) {
    this.#options = options;
    this.#logger = logger;
    this.#backends = backends;
    this.#rules = rules;
    this.memory = new MemoryBudget(options.maxProcessWindow);
  }

  /** Those whose agent has said HELLO. */
  get backends(): TunnelBackend[] {
    return [...this.#sessions.values()].filter((backend) => backend !== undefined);
  }

  /** Starts a session for a peer that was admitted. */
  add(transport: Transport, peer: AgentPeer): void {
    const options = this.#options;
    const startedAtMs = performance.now();
    let backend: TunnelBackend | undefined;
    let identifiers: string | undefined;
    const session = new Session(
      transport,
      {
        onHello: (hello) => {
          if (backend) {
            if (hello.agentIdentifiers !== identifiers) this.#authorizeAgain(backend, hello);
            identifiers = hello.agentIdentifiers;
            return;
          }
          identifiers = hello.agentIdentifiers;
          const candidate = this.#backendOf(session, hello, peer);
          if (!this.#authorize(candidate, hello)) return;
          backend = candidate;
          this.#sessions.set(session, backend);
          this.#backends.add(backend);
          this.#logger.info(
            { ...this.#describe(transport, peer, backend), software: hello.software },
            'agent connected',
          );
        },
        // Agents open no streams; the protocol would allow it.
        onOpen: (stream) => stream.refuse(agentsOpenNoStreams),
        onDraining: (error) => {
          if (backend) this.#backends.refresh(backend);
          this.#logger.info(
            { ...this.#describe(transport, peer, backend), reason: error.message },
            'agent drains',
          );
        },
        onSilence: (isSilent) => {
          if (!backend) return;
          this.#backends.refresh(backend);
          const fields = this.#describe(transport, peer, backend);
          if (isSilent) this.#logger.warn(fields, 'agent is silent');
          else this.#logger.info(fields, 'agent is heard again');
        },
        onClose: (error) => {
          this.#sessions.delete(session);
          if (backend) {
            this.#backends.remove(backend);
            this.#rules.exclusiveClaims.remove(backend);
          }
          const fields = {
            ...this.#describe(transport, peer, backend),
            durationMs: Math.round(performance.now() - startedAtMs),
            code: error?.code,
            reason: error?.message,
          };
          // The agent looks for other servers and found this one again: nothing was lost.
          if (error?.code === 'duplicate_tunnel') this.#logger.debug(fields, 'duplicate tunnel');
          else if (error) this.#logger.warn(fields, 'agent disconnected');
          else this.#logger.info(fields, 'agent disconnected');
        },
      },
      {
        role: 'server',
        hello: {
          software: `fairlead-server/${version}`,
          serverId: options.serverId,
          serverCount: options.serverCount,
          ...(this.#peers && { peers: [...this.#peers] }),
        },
        handshakeTimeoutMs: options.handshakeTimeout,
        pingIntervalMs: options.pingInterval,
        pingTimeoutMs: options.pingTimeout,
        maxStreamWindowBytes: options.maxStreamWindow,
        memory: new MemoryBudget(options.maxTunnelWindow, this.memory),
      },
    );
    this.#sessions.set(session, undefined);
    this.#agents.set(session, peer);
    const closed = session.transportClosed.then(() => {
      this.#transports.delete(closed);
    });
    this.#transports.add(closed);
    // An HTTP/2 connection that was admitted long ago may ask for another tunnel at any time.
    this.#closeIfDenied(session);
  }

  /** Bytes that the streams of all tunnels hold at the moment. */
  get bufferedBytes(): number {
    return this.memory.bufferedBytes;
  }

  /** Ends the tunnels of peers that may not be here any more. */
  closeDenied(): void {
    for (const session of [...this.#sessions.keys()]) this.#closeIfDenied(session);
  }

  /** Tells all agents, now and later, where the servers are: `host:port`, at most 64 (spec 2.11). */
  setPeers(peers: readonly string[]): void {
    this.#peers = peers;
    for (const session of this.#sessions.keys()) session.updateHello({ peers: [...peers] });
  }

  /** Asks all agents to use other servers; open streams go on, and new ones where there is no other way. */
  drain(): void {
    for (const [session, backend] of this.#sessions) {
      session.drain(new TunnelError('shutting_down'));
      if (backend) this.#backends.refresh(backend);
    }
  }

  /** Ends all tunnels; resolves when what they had to send has left, or cannot. */
  async close(): Promise<void> {
    for (const session of [...this.#sessions.keys()]) session.close();
    await Promise.all(this.#transports);
  }

  #backendOf(session: Session, { agentId = '' }: Hello, peer: AgentPeer): TunnelBackend {
    const backend = new TunnelBackend(session, agentId, peer, () =>
      this.#backends.refresh(backend),
    );
    return backend;
  }

  #closeIfDenied(session: Session): void {
    const peer = this.#agents.get(session);
    const reason = peer && this.#rules.whyDenied(peer);
    if (reason !== undefined) session.close(new TunnelError('unauthorized', reason));
  }

  /** Judging costs time and log lines, which an agent must not command at will. */
  #authorizeAgain(backend: TunnelBackend, hello: Hello): void {
    const { address, certificate } = backend.peer;
    const who = certificate?.fingerprint ?? address;
    if (!this.#changes.has(who)) {
      const text = 'the agent changes its identifiers too often';
      backend.session.close(new TunnelError('limit_reached', text));
      return;
    }
    this.#changes.take(who);
    if (!this.#authorize(backend, hello)) return;
    this.#backends.identify(backend);
    this.#logger.info({ agent: backend.agentId, address }, 'agent identifiers changed');
  }

  /** Takes what an agent claims, or ends its tunnel and says false. */
  #authorize(backend: TunnelBackend, { agentId, agentIdentifiers }: Hello): boolean {
    const { authorizer, exclusiveClaims, onUnauthorized } = this.#rules;
    try {
      backend.claims = authorizer.authorize(agentId ?? '', agentIdentifiers, backend.peer);
    } catch (error) {
      onUnauthorized();
      backend.session.close(toTunnelError(error));
      return false;
    }
    exclusiveClaims.update(backend);
    return true;
  }

  #describe(transport: Transport, peer: AgentPeer, backend: TunnelBackend | undefined): object {
    return {
      agent: backend?.agentId,
      address: peer.address,
      commonName: peer.commonName,
      transport: transport.kind,
    };
  }
}
