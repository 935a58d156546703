import { MemoryBudget, Session, type Transport, TunnelError } from '@fairlead/protocol';
import type { Logger } from '@fairlead/runtime';
import type { AgentPeer } from './agent-port/agent-peer.ts';
import { TunnelBackend } from './backend.ts';
import type { Backends } from './backends.ts';
import type { ServerOptions } from './options.ts';
import { version } from './version.ts';

/** Runs a session on every tunnel and keeps the list of backends in step. */
export class Tunnels {
  readonly #options: ServerOptions;
  readonly #logger: Logger;
  readonly #backends: Backends;
  /** What the tunnels of this process may hold together, whatever they speak. */
  readonly memory: MemoryBudget;
  readonly #sessions = new Map<Session, TunnelBackend | undefined>();
  /** Of these and of tunnels that are gone: the transports that may still have bytes to send. */
  readonly #transports = new Set<Promise<void>>();

  constructor(options: ServerOptions, logger: Logger, backends: Backends) {
    this.#options = options;
    this.#logger = logger;
    this.#backends = backends;
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
    const session = new Session(
      transport,
      {
        onHello: (hello) => {
          if (backend) return;
          backend = new TunnelBackend(session, hello.agentId ?? '', peer);
          this.#sessions.set(session, backend);
          this.#backends.add(backend);
          this.#logger.info(
            { ...this.#describe(transport, peer, backend), software: hello.software },
            'agent connected',
          );
        },
        // Agents open no streams; the protocol would allow it.
        onOpen: (stream) =>
          stream.refuse(new TunnelError('unauthorized', 'agents open no streams')),
        onDraining: (error) => {
          this.#logger.info(
            { ...this.#describe(transport, peer, backend), reason: error.message },
            'agent drains',
          );
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
          if (error) this.#logger.warn(fields, 'agent disconnected');
          else this.#logger.info(fields, 'agent disconnected');
        },
      },
      {
        role: 'server',
        hello: {
          software: `fairlead-server/${version}`,
          serverId: options.serverId,
          serverCount: options.serverCount,
        },
        handshakeTimeoutMs: options.handshakeTimeout,
        pingIntervalMs: options.pingInterval,
        pingTimeoutMs: options.pingTimeout,
        maxStreamWindowBytes: options.maxStreamWindow,
        memory: new MemoryBudget(options.maxTunnelWindow, this.memory),
      },
    );
    this.#sessions.set(session, undefined);
    const closed = session.transportClosed.then(() => {
      this.#transports.delete(closed);
    });
    this.#transports.add(closed);
  }

  /** Asks all agents to use other servers; open streams go on. */
  drain(): void {
    for (const session of this.#sessions.keys()) session.drain(new TunnelError('shutting_down'));
  }

  /** Ends all tunnels; resolves when what they had to send has left, or cannot. */
  async close(): Promise<void> {
    for (const session of [...this.#sessions.keys()]) session.close();
    await Promise.all(this.#transports);
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
