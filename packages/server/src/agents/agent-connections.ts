import {
  type Hello,
  MemoryBudget,
  Session,
  type Transport,
  TunnelError,
  toTunnelError,
} from '@fairlead/protocol';
import { type TokenBucketOptions, TokenBuckets } from '@fairlead/runtime/net';
import type { Logger } from '@fairlead/runtime/process';
import type { ServerOptions } from '../options.ts';
import { version } from '../version.ts';
import type { IdentifyByToken } from './agent-listener.ts';
import { type AgentPeer, identityOf } from './agent-peer.ts';
import type { AgentAuthorizer } from './auth/agent-authorization.ts';
import { TunnelBackend } from './backend.ts';
import type { Backends } from './backends.ts';
import type { ExclusiveClaims } from './exclusive-claims.ts';

/** Who decides what agents may do. */
export interface TunnelRules {
  readonly authorizer: AgentAuthorizer;
  readonly exclusiveClaims: ExclusiveClaims;
  /** Why a peer with a valid certificate may not be here all the same. */
  whyDenied(peer: AgentPeer): string | undefined;
  /** Told of each tunnel that is refused for its claims. */
  onUnauthorized(): void;
}

/** How often one agent may change what it claims: a node's labels, not a stream of data. */
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
  /** Those whose agent's token has still to be judged: they are told nothing that they need not know. */
  readonly #unknown = new Set<Session>();
  #peers: readonly string[] | undefined;
  #serverCount: number;
  /** Of these and of tunnels that are gone: the transports that may still have bytes to send. */
  readonly #transports = new Set<Promise<void>>();

  constructor(options: ServerOptions, logger: Logger, backends: Backends, rules: TunnelRules) {
    this.#options = options;
    this.#logger = logger;
    this.#backends = backends;
    this.#rules = rules;
    this.#serverCount = options.serverCount;
    this.memory = new MemoryBudget(options.maxProcessWindow);
  }

  /** Those whose agent has said HELLO. */
  get backends(): TunnelBackend[] {
    return [...this.#sessions.values()].filter((backend) => backend !== undefined);
  }

  /**
   * Starts a session for a peer that was admitted.
   * @param identify if its token is to come in HELLO (spec 2.12)
   */
  add(transport: Transport, admitted: AgentPeer, identify?: IdentifyByToken): void {
    const options = this.#options;
    let peer = admitted;
    const startedAtMs = performance.now();
    let backend: TunnelBackend | undefined;
    let identifiers: string | undefined;
    let lastHello: Hello | undefined;
    const join = (hello: Hello) => {
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
    };
    const judge = async (byToken: IdentifyByToken, token: string | undefined) => {
      try {
        peer = await byToken(token);
        if (session.isClosed) return;
        this.#unknown.delete(session);
        this.#agents.set(session, peer);
        join(lastHello ?? {});
        session.updateHello({ ...this.#servers(), admitted: true });
      } catch (error) {
        session.close(toTunnelError(error));
      }
    };
    const session = new Session(
      transport,
      {
        // The token is not for keeping.
        onHello: ({ token, ...hello }) => {
          if (backend) {
            if (hello.agentIdentifiers !== identifiers) this.#authorizeAgain(backend, hello);
            identifiers = hello.agentIdentifiers;
            return;
          }
          const isFirst = lastHello === undefined;
          lastHello = hello;
          if (!identify) join(hello);
          else if (isFirst) void judge(identify, token);
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
          this.#unknown.delete(session);
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
          ...(identify ? { admitted: false } : this.#servers()),
        },
        handshakeTimeoutMs: options.handshakeTimeout,
        pingIntervalMs: options.pingInterval,
        pingTimeoutMs: options.pingTimeout,
        maxStreamWindowBytes: options.maxStreamWindow,
        memory: new MemoryBudget(options.maxTunnelWindow, this.memory),
      },
    ).start();
    this.#sessions.set(session, undefined);
    if (identify) this.#unknown.add(session);
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
    this.#tellServers();
  }

  /** The same for how many servers there are. */
  setServerCount(count: number): void {
    this.#serverCount = count;
    this.#tellServers();
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

  #tellServers(): void {
    for (const session of this.#sessions.keys()) {
      if (!this.#unknown.has(session)) session.updateHello(this.#servers());
    }
  }

  #servers(): Hello {
    return {
      serverCount: this.#serverCount,
      ...(this.#peers && { peers: [...this.#peers] }),
    };
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
    const { address } = backend.peer;
    const who = identityOf(backend.peer) ?? address;
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
      account: peer.token?.username,
      node: peer.token?.nodeName,
      transport: transport.kind,
    };
  }
}
