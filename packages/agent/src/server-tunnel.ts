import type { PacketObserver } from '@fairlead/konnectivity';
import {
  formatTarget,
  type Hello,
  MemoryBudget,
  type Target,
  TunnelError,
  type TunnelStream,
} from '@fairlead/protocol';
import type { Logger } from '@fairlead/runtime';
import { readAgentToken } from './agent-token.ts';
import { type AgentTunnel, openTunnel } from './agent-tunnel.ts';
import type { ServerConnection } from './connect-attempt.ts';
import type { HeldServers, HeldTunnel } from './held-servers.ts';
import type { AgentOptions } from './options.ts';
import { identityFailure } from './refused-by-http.ts';
import { version } from './version.ts';

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
  /** The last call. @param error `duplicate_tunnel` if the server is held already */
  onClose(tunnel: ServerTunnel, error?: TunnelError): void;
}

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
  #isAcknowledged = false;
  #isReady = false;
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
          this.#becomeReady();
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
          return held.refusalOf(hello) ?? this.#readToken(hello);
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

  /** Whether streams may come and no change is asked for. */
  get isReady(): boolean {
    return this.#isReady && !this.session.isDraining;
  }

  /** Asks the server for no new streams; open ones go on. A server that is not known yet is let go. */
  drain(): void {
    if (this.#isKnown) this.session.drain(new TunnelError('shutting_down'));
    else this.session.close();
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
    if (this.#isRetired || isReplaced) this.session.close();
  }

  /** For a server that asks for it (spec 2.12). @returns why there is none, though there should be */
  #readToken({ admitted }: Hello): TunnelError | undefined {
    const { serviceAccountTokenPath: path } = this.#host.options;
    if (admitted !== false || path === undefined) return undefined;
    try {
      this.#token = readAgentToken(path);
      return undefined;
    } catch (error) {
      return new TunnelError('unauthenticated', (error as Error).message);
    }
  }

  #takeToken(): Hello {
    const token = this.#token;
    this.#token = undefined;
    return token === undefined ? {} : { token };
  }

  #onHello({ admitted }: Hello): void {
    // Not before the server has judged the agent's token (spec 2.12).
    if (admitted === false) return;
    const { held, onChange } = this.#host;
    if (this.#isKnown) held.update();
    else {
      this.#isKnown = true;
      // Not only when it is ready: another way to the same server is a duplicate from now on.
      held.add(this);
    }
    this.#becomeReady();
    onChange();
  }

  #becomeReady(): void {
    if (this.#isReady || !this.#isKnown || !this.#isAcknowledged) return;
    this.#isReady = true;
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
    const refusal = this.#isReady ? undefined : identityFailure(error?.code);
    if (error?.code === 'duplicate_tunnel') logger.debug(fields, 'server is held already');
    else if (error && refusal) {
      // As where a transport has an answer of its own for it.
      const { server, serverId } = fields;
      logger.warn({ server, serverId, reason: refusal, detail: error.message }, 'cannot connect');
    } else if (error) {
      onLost(error);
      logger.warn(fields, 'disconnected');
    } else logger.info(fields, 'disconnected');
    held.delete(this);
    this.#owner.onClose(this, error);
    onChange();
  }
}
