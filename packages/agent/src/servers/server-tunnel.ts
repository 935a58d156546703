import type { PacketObserver } from '@fairlead/konnectivity';
import {
  formatTarget,
  type Hello,
  MemoryBudget,
  type Target,
  TunnelError,
  type TunnelStream,
} from '@fairlead/protocol';
import type { Logger } from '@fairlead/runtime/process';
import type { ServerConnection } from '../connect/connect-attempt.ts';
import { ConnectError, identityFailure } from '../connect/connect-error.ts';
import { readAgentToken } from '../identity/agent-token.ts';
import type { AgentOptions } from '../options.ts';
import { version } from '../version.ts';
import type { HeldServers, HeldTunnel } from './tunnel-registry.ts';
import { type AgentTunnel, openTunnel } from './tunnel-session.ts';

/** What all tunnels of an agent share. */
export interface TunnelHost {
  readonly options: AgentOptions;
  readonly logger: Logger;
  readonly memory: MemoryBudget;
  readonly held: HeldServers;
  /** Told of the packets of gRPC calls. */
  readonly packetObserver: PacketObserver;
  onStream(stream: TunnelStream): void;
  /** Tunnels that said HELLO came, went or changed. */
  onChange(): void;
  /** A tunnel has ended, and not in order. */
  onLost(error: TunnelError): void;
}

/** What a tunnel tells the link that made it. */
export interface TunnelOwner {
  /** The server has introduced itself, is one that the agent wants, and takes the agent (spec 2.13). */
  onReady(tunnel: ServerTunnel): void;
  /** The server asks for no new streams; another tunnel is wanted. */
  onDraining(tunnel: ServerTunnel): void;
  /** The last call. @param failure if it never became ready, though the agent wanted it */
  onClose(tunnel: ServerTunnel, error?: TunnelError, failure?: ConnectError): void;
}

/** A server that asks for a token may have to ask the Kubernetes API about it, more than once. */
const TOKEN_VERDICT_MS = 30_000;

/** One tunnel to one server, from the connection on. */
export class ServerTunnel implements HeldTunnel {
  readonly session: AgentTunnel;
  readonly #host: TunnelHost;
  readonly #owner: TunnelOwner;
  readonly #server: string;
  #offered: Hello | undefined;
  /** Between the server's HELLO and the answer. */
  #token: string | undefined;
  /** The server has introduced itself, and judged the token if it wanted one. */
  #isKnown = false;
  /** The server has handled the agent's HELLO (spec 2.13). */
  #isAcknowledged = false;
  /** Running while the server has still to take the agent. */
  #verdictTimer: NodeJS.Timeout | undefined;
  #isDuplicate = false;
  /** Why there is no token, though the server wants one. */
  #tokenFailure: ConnectError | undefined;
  /** Closed by the agent, which needs it no more. */
  #isGivenUp = false;
  #isRetired = false;
  /** Set when the server has used up its stream IDs and goes on with another tunnel (spec 6.2). */
  #isExhausted = false;

  constructor(
    connection: ServerConnection,
    endpoint: Target,
    host: TunnelHost,
    owner: TunnelOwner,
  ) {
    this.#host = host;
    this.#owner = owner;
    this.#server = formatTarget(endpoint);
    const { options, memory, held } = host;
    this.session = openTunnel(
      connection,
      {
        onHello: (hello) => this.#onHello(hello),
        onAcknowledged: () => {
          this.#isAcknowledged = true;
          if (this.#isTaken) this.#onTaken();
        },
        onOpen: (stream) => host.onStream(stream),
        onDraining: (error) => this.#onDraining(error),
        onSilence: (isSilent) => this.#onSilence(isSilent),
        onIdle: () => {
          this.closeIfDone();
          host.onChange();
        },
        onClose: (error) => this.#onClose(error),
      },
      {
        role: 'agent',
        hello: () => ({
          software: `fairlead-agent/${version}`,
          agentId: options.agentId,
          maxStreams: options.maxStreamsPerTunnel,
          ...(options.agentIdentifiers !== undefined && {
            agentIdentifiers: options.agentIdentifiers,
          }),
          ...this.#takeToken(),
        }),
        refusePeer: (hello) => {
          this.#offered = hello;
          const duplicate = held.refusalOf(hello);
          this.#isDuplicate = duplicate !== undefined;
          return duplicate ?? this.#readToken(hello);
        },
        handshakeTimeoutMs: options.handshakeTimeout,
        pingIntervalMs: options.pingInterval,
        pingTimeoutMs: options.pingTimeout,
        maxStreams: options.maxStreamsPerTunnel,
        maxStreamWindowBytes: options.maxStreamWindow,
        memory: new MemoryBudget(options.maxTunnelWindow, memory),
        stalledStreamTimeoutMs: options.stalledStreamTimeout,
        packetObserver: host.packetObserver,
      },
    );
  }

  /** The server's ID, also of one that is not wanted. */
  get serverId(): string | undefined {
    return this.#offered?.serverId;
  }

  /** Whether the agent wanted no tunnel, since it has one to that server (spec 2.9). */
  get isDuplicate(): boolean {
    return this.#isDuplicate;
  }

  /** Whether streams may come and no change is asked for. */
  get isReady(): boolean {
    return this.#isTaken && !this.session.isDraining;
  }

  get #isTaken(): boolean {
    return this.#isKnown && this.#isAcknowledged;
  }

  /** Asks the server for no new streams; open ones go on. A server that is not known yet is let go. */
  drain(): void {
    if (this.#isKnown) this.session.drain(new TunnelError('shutting_down'));
    else this.close();
  }

  /** Ends it and its streams. */
  close(): void {
    this.#isGivenUp = true;
    this.session.close();
  }

  /** Drains, and closes when the last stream has ended. */
  retire(): void {
    this.#isRetired = true;
    this.drain();
    this.closeIfDone();
  }

  /**
   * Closes a tunnel that nobody needs any more. One whose server shuts down is left to the server, which
   * may still send streams that nobody else could take.
   */
  closeIfDone(): void {
    if (!this.session.isIdle) return;
    const isReplaced =
      this.#isExhausted &&
      this.serverId !== undefined &&
      this.#host.held.holds(this.serverId, this);
    if (this.#isRetired || isReplaced) this.close();
  }

  /** For a server that asks for it (spec 2.12). @returns why there is none, though there should be */
  #readToken({ admitted }: Hello): TunnelError | undefined {
    const { serviceAccountTokenPath: path } = this.#host.options;
    if (admitted !== false || path === undefined) return undefined;
    try {
      this.#token = readAgentToken(path);
      return undefined;
    } catch (error) {
      this.#tokenFailure = error as ConnectError;
      return new TunnelError('unauthenticated', this.#tokenFailure.message);
    }
  }

  #takeToken(): Hello {
    const token = this.#token;
    this.#token = undefined;
    return token === undefined ? {} : { token };
  }

  #onHello({ admitted }: Hello): void {
    const { held, onChange, options } = this.#host;
    this.#expectVerdict(admitted === false ? TOKEN_VERDICT_MS : options.handshakeTimeout);
    // Not before the server has judged the agent's token (spec 2.12).
    if (admitted === false) return;
    if (this.#isKnown) held.update();
    else {
      this.#isKnown = true;
      // Not only when it is ready: another way to the same server is a duplicate from now on.
      held.add(this);
      if (this.#isTaken) this.#onTaken();
    }
    onChange();
  }

  #expectVerdict(withinMs: number): void {
    if (this.#isTaken || this.#verdictTimer !== undefined) return;
    this.#verdictTimer = setTimeout(() => {
      const text = `the server did not take the agent within ${withinMs} ms of its HELLO`;
      this.session.close(new TunnelError('hello_timeout', text));
    }, withinMs);
    this.#verdictTimer.unref();
  }

  #onTaken(): void {
    clearTimeout(this.#verdictTimer);
    const { logger, onChange } = this.#host;
    const { transport, peerHello: { serverId, software } = {} } = this.session;
    const fields = { server: this.#server, serverId, software, transport: transport.kind };
    logger.info(fields, 'connected');
    this.#owner.onReady(this);
    onChange();
  }

  #onDraining(error: TunnelError): void {
    const { logger, held, onChange } = this.#host;
    this.#isExhausted = error.code === 'ids_exhausted';
    logger.info({ server: this.#server, reason: error.message }, 'server drains');
    if (!this.#isTaken) {
      // It has sent no stream, and one that is under way it tries elsewhere.
      this.session.close(new TunnelError('shutting_down', 'the server drains'));
      return;
    }
    held.update();
    this.#owner.onDraining(this);
    onChange();
  }

  #onSilence(isSilent: boolean): void {
    const { logger, onChange } = this.#host;
    const fields = { server: this.#server, serverId: this.serverId };
    if (isSilent) logger.warn(fields, 'server is silent');
    else logger.info(fields, 'server is heard again');
    onChange();
  }

  #onClose(error?: TunnelError): void {
    const { logger, held, onChange, onLost } = this.#host;
    const fields = {
      server: this.#server,
      serverId: this.serverId,
      code: error?.code,
      reason: error?.message,
    };
    clearTimeout(this.#verdictTimer);
    const failure = this.#failureOf(error);
    if (this.#isDuplicate) logger.debug(fields, 'server is held already');
    else if (failure) {
      // As where a transport has an answer of its own for it.
      const { server, serverId } = fields;
      const { reason, message: detail } = failure;
      logger.warn({ server, serverId, reason, detail }, 'cannot connect');
    } else if (error) {
      onLost(error);
      logger.warn(fields, 'disconnected');
    } else logger.info(fields, 'disconnected');
    held.delete(this);
    this.#owner.onClose(this, error, failure);
    onChange();
  }

  /** Why the server did not take the agent; undefined if it did, or the agent did not want it. */
  #failureOf(error: TunnelError | undefined): ConnectError | undefined {
    if (this.#isTaken || this.#isDuplicate || this.#isGivenUp) return undefined;
    if (this.#tokenFailure) return this.#tokenFailure;
    const isLate = error?.code === 'hello_timeout';
    const reason = identityFailure(error?.code) ?? (isLate ? 'handshake_timeout' : 'not_taken');
    return new ConnectError(reason, error?.message ?? 'the server ended the tunnel at its start');
  }
}
