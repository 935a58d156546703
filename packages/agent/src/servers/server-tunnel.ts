import { type Hello, MemoryBudget, TunnelError, type TunnelStream } from '@fairlead/protocol';
import { type Logger, release } from '@fairlead/runtime/process';
import type { AgentMetrics } from '../admin/metrics.ts';
import type { ServerConnection } from '../connect/connect-attempt.ts';
import { ConnectError, identityFailure } from '../connect/connect-error.ts';
import { readAgentToken } from '../identity/agent-token.ts';
import type { AgentOptions } from '../options.ts';
import type { ServerConnector } from './server-connector.ts';
import type { TunnelRegistry } from './tunnel-registry.ts';
import { createSession, type TunnelSession } from './tunnel-session.ts';

/** What all tunnels of an agent share. */
export interface TunnelContext {
  readonly options: AgentOptions;
  readonly logger: Logger;
  readonly memory: MemoryBudget;
  readonly metrics: Pick<AgentMetrics, 'packetObserver' | 'onTunnelLost' | 'onConnectFailed'>;
  readonly registry: TunnelRegistry;
  onStream(stream: TunnelStream): void;
  /** A tunnel whose server has sent HELLO was added, has changed, or has ended. */
  onChange(): void;
}

/** A server that asks for a token may query the Kubernetes API, more than once. */
const TOKEN_REVIEW_MS = 30_000;

/**
 * One tunnel to one server, from the open connection to its end: HELLO, token, acceptance (`onReady`),
 * streams, drain, close.
 */
export class ServerTunnel {
  readonly session: TunnelSession;
  /** Resolves when the tunnel is ready, or has ended before. */
  readonly decided: Promise<void>;
  /** Whether the agent refused it because it already has a tunnel to that server (spec 2.9). */
  isDuplicate = false;
  readonly #address: string;
  readonly #context: TunnelContext;
  readonly #owner: ServerConnector;
  #decide = () => {};
  /** The server's first HELLO, also of a duplicate. */
  #firstHello: Hello | undefined;
  /** Between the server's HELLO and the agent's. */
  #token: string | undefined;
  /** Why the agent has no token although the server asks for one. */
  #tokenFailure: ConnectError | undefined;
  /** The server has sent HELLO, and accepted the token if it asked for one. */
  #isKnown = false;
  /** The server has handled the agent's HELLO (spec 2.13). */
  #isAcknowledged = false;
  /** Runs until the server accepts the agent. */
  #acceptTimer: NodeJS.Timeout | undefined;
  #readyAtMs = -Infinity;
  #isClosedByAgent = false;
  #isRetired = false;
  /** The server has used up its stream IDs and continues with another tunnel (spec 6.2). */
  #isExhausted = false;

  /** @param address `host:port` of the server, for logs */
  constructor(
    connection: ServerConnection,
    address: string,
    context: TunnelContext,
    owner: ServerConnector,
  ) {
    this.#address = address;
    this.#context = context;
    this.#owner = owner;
    this.decided = new Promise((resolve) => {
      this.#decide = resolve;
    });
    const { options, memory, metrics } = context;
    this.session = createSession(
      connection,
      {
        onHello: (hello) => this.#onHello(hello),
        onAcknowledged: () => {
          this.#isAcknowledged = true;
          if (this.#isAccepted) this.#onAccepted();
        },
        onOpen: (stream) => context.onStream(stream),
        onDraining: (error) => this.#onDraining(error),
        onSilence: (isSilent) => this.#onSilence(isSilent),
        onIdle: () => {
          this.closeIfUnused();
          context.onChange();
        },
        onClose: (error) => this.#onClose(error),
      },
      {
        role: 'agent',
        hello: () => this.#takeHello(),
        refusePeer: (hello) => this.#refuse(hello),
        handshakeTimeoutMs: options.handshakeTimeout,
        pingIntervalMs: options.pingInterval,
        pingTimeoutMs: options.pingTimeout,
        maxStreams: options.maxStreamsPerTunnel,
        maxStreamWindowBytes: options.maxStreamWindow,
        memory: new MemoryBudget(options.maxTunnelWindow, memory),
        stalledStreamTimeoutMs: options.stalledStreamTimeout,
        packetObserver: metrics.packetObserver,
      },
    );
  }

  /** The server's ID, also of a duplicate. */
  get serverId(): string | undefined {
    return this.#firstHello?.serverId;
  }

  /** Whether the server can open streams, and neither side drains. */
  get isReady(): boolean {
    return this.#isAccepted && !this.session.isDraining;
  }

  /** Milliseconds since the server accepted the agent; Infinity before. */
  get ageMs(): number {
    return performance.now() - this.#readyAtMs;
  }

  get #isAccepted(): boolean {
    return this.#isKnown && this.#isAcknowledged;
  }

  /** Asks the server for no new streams; open ones continue. Closes a tunnel without HELLO at once. */
  drain(): void {
    if (this.#isKnown) this.session.drain(new TunnelError('shutting_down'));
    else this.close();
  }

  close(): void {
    this.#isClosedByAgent = true;
    this.session.close();
  }

  /** Drains, and closes when the last stream has ended. */
  retire(): void {
    this.#isRetired = true;
    this.drain();
    this.closeIfUnused();
  }

  /**
   * Closes an idle tunnel that is retired or replaced. A server that shuts down closes its tunnels itself:
   * it can still send streams that no other server can take.
   */
  closeIfUnused(): void {
    if (!this.session.isIdle) return;
    const { serverId } = this;
    const { registry } = this.#context;
    const isReplaced =
      this.#isExhausted && serverId !== undefined && registry.has(serverId, this.session);
    if (this.#isRetired || isReplaced) this.close();
  }

  /** Decides about the server's first HELLO, before the agent sends its own. */
  #refuse(hello: Hello): TunnelError | undefined {
    this.#firstHello = hello;
    const duplicate = this.#context.registry.refuseDuplicate(hello);
    this.isDuplicate = duplicate !== undefined;
    return duplicate ?? this.#readToken(hello);
  }

  /** Reads the token for a server that asks for one (spec 2.12). @returns why it cannot be read */
  #readToken({ admitted }: Hello): TunnelError | undefined {
    const { serviceAccountTokenPath: path } = this.#context.options;
    if (admitted !== false || path === undefined) return undefined;
    try {
      this.#token = readAgentToken(path);
      return undefined;
    } catch (error) {
      this.#tokenFailure = error as ConnectError;
      return new TunnelError('unauthenticated', this.#tokenFailure.message);
    }
  }

  /** The agent's HELLO. Keeps no copy of the token. */
  #takeHello(): Hello {
    const { agentId, agentIdentifiers, maxStreamsPerTunnel } = this.#context.options;
    const token = this.#token;
    this.#token = undefined;
    return {
      software: `fairlead-agent/${release.version}`,
      agentId,
      maxStreams: maxStreamsPerTunnel,
      ...(agentIdentifiers !== undefined && { agentIdentifiers }),
      ...(token !== undefined && { token }),
    };
  }

  #onHello({ admitted }: Hello): void {
    const { registry, onChange, options } = this.#context;
    this.#expectAcceptance(admitted === false ? TOKEN_REVIEW_MS : options.handshakeTimeout);
    // The server has not accepted the token yet (spec 2.12).
    if (admitted === false) return;
    if (this.#isKnown) registry.update();
    else {
      this.#isKnown = true;
      // Before the tunnel is ready: from now on, a second tunnel to the same server is a duplicate.
      registry.add(this.session);
      if (this.#isAccepted) this.#onAccepted();
    }
    onChange();
  }

  #expectAcceptance(withinMs: number): void {
    if (this.#isAccepted || this.#acceptTimer !== undefined) return;
    this.#acceptTimer = setTimeout(() => {
      const text = `the server did not accept the agent within ${withinMs} ms after HELLO`;
      this.session.close(new TunnelError('hello_timeout', text));
    }, withinMs);
    this.#acceptTimer.unref();
  }

  #onAccepted(): void {
    clearTimeout(this.#acceptTimer);
    this.#readyAtMs = performance.now();
    const { logger, onChange } = this.#context;
    const { transport, peerHello: { serverId, software } = {} } = this.session;
    const fields = { server: this.#address, serverId, software, transport: transport.kind };
    logger.info(fields, 'connected');
    this.#owner.onReady();
    this.#decide();
    onChange();
  }

  #onDraining(error: TunnelError): void {
    const { logger, registry, onChange } = this.#context;
    this.#isExhausted = error.code === 'ids_exhausted';
    logger.info({ server: this.#address, reason: error.message }, 'server drains');
    if (!this.#isAccepted) {
      // The server has opened no stream yet, and retries one that is on its way elsewhere.
      this.session.close(new TunnelError('shutting_down', 'the server drains'));
      return;
    }
    registry.update();
    this.#owner.onDraining(this);
    onChange();
  }

  #onSilence(isSilent: boolean): void {
    const { logger, onChange } = this.#context;
    const fields = { server: this.#address, serverId: this.serverId };
    if (isSilent) logger.warn(fields, 'server does not answer');
    else logger.info(fields, 'server answers again');
    onChange();
  }

  #onClose(error?: TunnelError): void {
    const { logger, registry, metrics, onChange } = this.#context;
    const fields = {
      server: this.#address,
      serverId: this.serverId,
      code: error?.code,
      reason: error?.message,
    };
    clearTimeout(this.#acceptTimer);
    const failure = this.#failureOf(error);
    if (this.isDuplicate) logger.debug(fields, 'duplicate tunnel closed');
    else if (failure) {
      // The same line as for a transport whose own answer refuses the agent.
      const { server, serverId } = fields;
      const { reason, message: detail } = failure;
      logger.warn({ server, serverId, reason, detail }, 'cannot connect');
    } else if (error) {
      metrics.onTunnelLost();
      logger.warn(fields, 'disconnected');
    } else logger.info(fields, 'disconnected');
    registry.delete(this.session);
    this.#owner.onClose(this, error, failure);
    this.#decide();
    onChange();
  }

  /** Why the server did not accept the agent; undefined if it did, or if the agent closed the tunnel. */
  #failureOf(error: TunnelError | undefined): ConnectError | undefined {
    if (this.#isAccepted || this.isDuplicate || this.#isClosedByAgent) return undefined;
    if (this.#tokenFailure) return this.#tokenFailure;
    const isLate = error?.code === 'hello_timeout';
    const reason = identityFailure(error?.code) ?? (isLate ? 'handshake_timeout' : 'not_taken');
    const text = error?.message ?? 'the server closed the tunnel before it accepted the agent';
    return new ConnectError(reason, text);
  }
}
