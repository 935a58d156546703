import type { PacketObserver } from '@fairlead/konnectivity';
import {
  formatTarget,
  MemoryBudget,
  type Target,
  TunnelError,
  type TunnelStream,
} from '@fairlead/protocol';
import type { Logger } from '@fairlead/runtime';
import { type AgentTunnel, openTunnel } from './agent-tunnel.ts';
import type { Backoff } from './backoff.ts';
import type { ServerConnection } from './connect-attempt.ts';
import { ConnectError } from './connect-error.ts';
import type { AgentOptions } from './options.ts';
import { version } from './version.ts';

export interface ServerLinkOptions {
  readonly endpoint: Target;
  readonly options: AgentOptions;
  readonly logger: Logger;
  readonly memory: MemoryBudget;
  readonly backoff: Backoff;
  readonly packetObserver: PacketObserver;
  connect(endpoint: Target, signal: AbortSignal): Promise<ServerConnection>;
  onStream(stream: TunnelStream): void;
  /** Tunnels that said HELLO came or went. */
  onChange(): void;
  onConnectFailed(error: ConnectError): void;
  /** A tunnel has ended, and not in order. */
  onLost(error: TunnelError): void;
}

/** A tunnel of this link, and what its server said of itself. */
interface Tunnel {
  readonly session: AgentTunnel;
  isReady: boolean;
}

/**
 * Keeps a tunnel to one server address: connects, reconnects with backoff, and makes a new tunnel as soon as
 * the old one drains, while the old one's streams go on.
 */
export class ServerLink {
  readonly #options: ServerLinkOptions;
  readonly #tunnels = new Set<Tunnel>();
  /** Of these and of tunnels that are gone: the transports that may still have bytes to send. */
  readonly #transports = new Set<Promise<void>>();
  readonly #stop = new AbortController();
  #serverCount = 0;

  constructor(options: ServerLinkOptions) {
    this.#options = options;
  }

  /** Whether a server is connected and asks for no change. */
  get isReady(): boolean {
    return [...this.#tunnels].some(({ isReady, session }) => isReady && !session.isDraining);
  }

  get readyTunnels(): number {
    return [...this.#tunnels].filter(({ isReady }) => isReady).length;
  }

  /** How many servers there are, as this one says; 0 before it said so. */
  get serverCount(): number {
    return this.#serverCount;
  }

  get streamCount(): number {
    let count = 0;
    for (const { session } of this.#tunnels) count += session.streamCount;
    return count;
  }

  /** `host:port` of the server. */
  get address(): string {
    return formatTarget(this.#options.endpoint);
  }

  get sessions(): AgentTunnel[] {
    return [...this.#tunnels].map(({ session }) => session);
  }

  /** Connects and stays connected until `stop`. */
  async run(): Promise<void> {
    const { endpoint, logger, backoff } = this.#options;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        const connection = await this.#options.connect(endpoint, signal);
        const end = await this.#useTunnel(connection);
        // A server that drains has others beside it, or a successor: no reason to wait.
        if (end === 'draining') continue;
      } catch (error) {
        if (signal.aborted) return;
        if (!(error instanceof ConnectError)) throw error;
        this.#options.onConnectFailed(error);
        logger.warn(
          { server: formatTarget(endpoint), reason: error.reason, detail: error.message },
          'cannot connect',
        );
      }
      await backoff.wait(signal);
    }
  }

  /** Makes no new tunnel. */
  stop(): void {
    this.#stop.abort();
  }

  /** Asks the servers to send no new streams; open ones go on. */
  drain(): void {
    this.stop();
    for (const { session } of this.#tunnels) session.drain(new TunnelError('shutting_down'));
  }

  /** Ends all tunnels; resolves when what they had to send has left, or cannot. */
  async close(): Promise<void> {
    this.stop();
    for (const { session } of [...this.#tunnels]) session.close();
    await Promise.all(this.#transports);
  }

  /** Resolves when the tunnel is gone, or asks to be replaced. */
  #useTunnel(connection: ServerConnection): Promise<'draining' | 'closed'> {
    const { options, endpoint, logger, memory } = this.#options;
    const server = formatTarget(endpoint);
    return new Promise((resolve) => {
      const tunnel: Tunnel = {
        isReady: false,
        session: openTunnel(
          connection,
          {
            onHello: (hello) => {
              this.#serverCount = hello.serverCount ?? 1;
              if (!tunnel.isReady) {
                tunnel.isReady = true;
                this.#options.backoff.reset();
                const { serverId, software } = hello;
                logger.info(
                  { server, serverId, software, transport: connection.kind },
                  'connected',
                );
              }
              this.#options.onChange();
            },
            onOpen: (stream) => this.#options.onStream(stream),
            onDraining: (error) => {
              logger.info({ server, reason: error.message }, 'server drains');
              this.#options.onChange();
              resolve('draining');
              if (tunnel.session.streamCount === 0) tunnel.session.close();
            },
            onIdle: () => {
              // Nobody sends new streams here any more.
              if (tunnel.session.isDraining) tunnel.session.close();
              this.#options.onChange();
            },
            onClose: (error) => {
              this.#tunnels.delete(tunnel);
              const fields = { server, code: error?.code, reason: error?.message };
              if (error) this.#options.onLost(error);
              if (error) logger.warn(fields, 'disconnected');
              else logger.info(fields, 'disconnected');
              this.#options.onChange();
              resolve('closed');
            },
          },
          {
            role: 'agent',
            hello: {
              software: `fairlead-agent/${version}`,
              agentId: options.agentId,
              maxStreams: options.maxStreamsPerTunnel,
              ...(options.agentIdentifiers !== undefined && {
                agentIdentifiers: options.agentIdentifiers,
              }),
            },
            handshakeTimeoutMs: options.handshakeTimeout,
            pingIntervalMs: options.pingInterval,
            pingTimeoutMs: options.pingTimeout,
            maxStreams: options.maxStreamsPerTunnel,
            maxStreamWindowBytes: options.maxStreamWindow,
            memory: new MemoryBudget(options.maxTunnelWindow, memory),
            stalledStreamTimeoutMs: options.stalledStreamTimeout,
            packetObserver: this.#options.packetObserver,
          },
        ),
      };
      this.#tunnels.add(tunnel);
      const closed = tunnel.session.transportClosed.then(() => {
        this.#transports.delete(closed);
      });
      this.#transports.add(closed);
    });
  }
}
