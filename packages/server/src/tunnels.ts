import {
  cleanText,
  type Hello,
  MemoryBudget,
  Session,
  type Transport,
  TunnelError,
} from '@fairlead/protocol';
import type { Logger } from '@fairlead/runtime';
import { type AgentIdentifiers, parseAgentIdentifiers } from './agent-identifiers.ts';
import type { AgentPeer } from './agent-port/agent-peer.ts';
import { TunnelBackend } from './backend.ts';
import type { Backends } from './backends.ts';
import type { ServerOptions } from './options.ts';
import { version } from './version.ts';

/** Of an agent's unreadable identifiers, so many are worth a log line. */
const MAX_LOGGED_WARNINGS = 10;

/** Runs a session on every tunnel and keeps the list of backends in step. */
export class Tunnels {
  readonly #options: ServerOptions;
  readonly #logger: Logger;
  readonly #backends: Backends;
  readonly #memory: MemoryBudget;
  readonly #sessions = new Map<Session, TunnelBackend | undefined>();
  #peers: readonly string[] | undefined;
  /** Of these and of tunnels that are gone: the transports that may still have bytes to send. */
  readonly #transports = new Set<Promise<void>>();

  constructor(options: ServerOptions, logger: Logger, backends: Backends) {
    this.#options = options;
    this.#logger = logger;
    this.#backends = backends;
    this.#memory = new MemoryBudget(options.maxProcessWindow);
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
    let identifiersText: string | undefined;
    const session = new Session(
      transport,
      {
        onHello: (hello) => {
          const isNew = !backend;
          backend ??= this.#backendOf(session, hello, peer);
          const fields = this.#describe(transport, peer, backend);
          if (isNew) {
            identifiersText = hello.agentIdentifiers;
            this.#sessions.set(session, backend);
            this.#backends.add(backend, { covered: this.#identifiersOf(hello, fields) });
            this.#logger.info({ ...fields, software: hello.software }, 'agent connected');
          } else if (hello.agentIdentifiers !== identifiersText) {
            identifiersText = hello.agentIdentifiers;
            this.#backends.identify(backend, { covered: this.#identifiersOf(hello, fields) });
            this.#logger.info(fields, 'agent identifiers changed');
          }
        },
        // Agents open no streams; the protocol would allow it.
        onOpen: (stream) =>
          stream.refuse(new TunnelError('unauthorized', 'agents open no streams')),
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
          if (backend) this.#backends.remove(backend);
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
        memory: new MemoryBudget(options.maxTunnelWindow, this.#memory),
      },
    );
    this.#sessions.set(session, undefined);
    const closed = session.transportClosed.then(() => {
      this.#transports.delete(closed);
    });
    this.#transports.add(closed);
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

  #identifiersOf({ agentIdentifiers }: Hello, fields: object): AgentIdentifiers {
    const identifiers = parseAgentIdentifiers(agentIdentifiers ?? '');
    for (const warning of identifiers.warnings.slice(0, MAX_LOGGED_WARNINGS)) {
      this.#logger.warn({ ...fields, detail: cleanText(warning) }, 'bad agent identifier');
    }
    return identifiers;
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
