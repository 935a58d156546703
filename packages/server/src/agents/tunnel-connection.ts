import {
  type Hello,
  MemoryBudget,
  Session,
  type Target,
  type Transport,
  TunnelError,
  type TunnelStream,
  toTunnelError,
} from '@fairlead/protocol';
import { release } from '@fairlead/runtime/process';
import { AgentConnection, type AgentConnectionHost } from './agent-connection.ts';
import type { IdentifyByToken } from './agent-listener.ts';
import { type AgentPeer, identityOf } from './agent-peer.ts';
import type { BackendDialHandler } from './backend.ts';

/** Made once: an agent may try to open any number of streams. */
const agentsOpenNoStreams = new TunnelError('unauthorized', 'agents open no streams');

/** A tunnel in Fairlead's protocol (docs/spec.md). */
export class TunnelConnection extends AgentConnection {
  readonly session: Session;
  readonly #identify: IdentifyByToken | undefined;
  /** The agent's last HELLO, without its token. */
  #hello: Hello | undefined;

  constructor(
    host: AgentConnectionHost,
    transport: Transport,
    peer: AgentPeer,
    identify?: IdentifyByToken,
  ) {
    super(host, peer, transport.kind, identify ? 'unauthenticated' : 'authenticated');
    this.#identify = identify;
    const { options } = host;
    this.session = new Session(
      transport,
      {
        onHello: ({ token, ...hello }) => this.#onHello(hello, token),
        // The protocol would allow it.
        onOpen: (stream) => stream.refuse(agentsOpenNoStreams),
        onDraining: ({ message }) => this.onDraining(message),
        onSilence: (isSilent) => this.#onSilence(isSilent),
        onClose: (error) => this.onClose(error),
      },
      {
        role: 'server',
        hello: {
          software: `fairlead-server/${release.version}`,
          serverId: options.serverId,
          ...(identify ? { admitted: false } : host.servers()),
        },
        handshakeTimeoutMs: options.handshakeTimeout,
        pingIntervalMs: options.pingInterval,
        pingTimeoutMs: options.pingTimeout,
        maxStreamWindowBytes: options.maxStreamWindow,
        memory: new MemoryBudget(options.maxTunnelWindow, host.memory),
      },
    );
    this.session.start();
    // An HTTP/2 connection that was admitted long ago can ask for another tunnel at any time.
    this.closeIfDenied();
  }

  override get isSilent(): boolean {
    return this.session.isSilent;
  }

  dial(target: Target, handler: BackendDialHandler): TunnelStream {
    const wasDraining = this.isDraining;
    const stream = this.session.open(target, {
      onOpened: () => handler.onOpened(stream),
      onClose: (error) => handler.onFailed(error ?? new TunnelError('tunnel_lost')),
    });
    // A tunnel that runs out of stream IDs drains (spec 3.12).
    if (this.isDraining && !wasDraining) this.host.backends.refresh(this);
    return stream;
  }

  override drain(): void {
    this.session.drain(new TunnelError('shutting_down'));
    this.host.backends.refresh(this);
  }

  /** An agent whose token is not verified yet learns nothing about the servers. */
  override announceServers(): void {
    if (this.state !== 'unauthenticated') this.session.updateHello(this.host.servers());
  }

  #onHello(hello: Hello, token: string | undefined): void {
    const previous = this.#hello;
    this.#hello = hello;
    if (this.state === 'authenticated') this.#join(hello);
    else if (this.state === 'unauthenticated' && !previous) void this.#authenticate(token);
    else if (this.state === 'serving' && hello.agentIdentifiers !== previous?.agentIdentifiers) {
      this.#changeClaims(hello);
    }
  }

  async #authenticate(token: string | undefined): Promise<void> {
    try {
      const peer = await this.#identify!(token);
      if (this.session.isClosed) return;
      this.peer = peer;
      this.state = 'authenticated';
      this.#join(this.#hello!);
      this.session.updateHello({ ...this.host.servers(), admitted: true });
    } catch (error) {
      this.session.close(toTunnelError(error));
    }
  }

  #join(hello: Hello): void {
    const claims = this.#authorize(hello);
    if (claims) this.serve(hello.agentId ?? '', claims, hello.software);
  }

  /** Limited, since each change costs time and log lines. */
  #changeClaims(hello: Hello): void {
    const { identifierChanges, backends, logger } = this.host;
    const { address } = this.peer;
    const agent = identityOf(this.peer) ?? address;
    if (!identifierChanges.has(agent)) {
      const text = 'the agent changes its identifiers too often';
      this.session.close(new TunnelError('limit_reached', text));
      return;
    }
    identifierChanges.take(agent);
    const claims = this.#authorize(hello);
    if (!claims) return;
    this.claims = claims;
    backends.reindex(this);
    this.warnOfConflicts();
    logger.info({ agent: this.agentId, address }, 'agent identifiers changed');
  }

  /** @returns undefined if the claims are refused; the tunnel is closed then */
  #authorize({ agentId = '', agentIdentifiers }: Hello): AgentConnection['claims'] | undefined {
    try {
      return this.host.authorize(agentId, agentIdentifiers, this.peer);
    } catch (error) {
      this.session.close(toTunnelError(error));
      return undefined;
    }
  }

  #onSilence(isSilent: boolean): void {
    if (this.state !== 'serving') return;
    this.host.backends.refresh(this);
    if (isSilent) this.host.logger.warn(this.fields, 'agent is silent');
    else this.host.logger.info(this.fields, 'agent is heard again');
  }
}
