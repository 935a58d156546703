import type { Http2Connection, Http2Stream } from '@fairlead/http2';
import { GrpcError } from '@fairlead/konnectivity';
import type { Hello, Transport } from '@fairlead/protocol';
import { TokenBuckets } from '@fairlead/runtime/net';
import { refuseGrpc } from '../http2/grpc-answer.ts';
import type { AgentConnection, AgentConnectionHost } from './agent-connection.ts';
import type { IdentifyByToken } from './agent-listener.ts';
import type { AgentPeer } from './agent-peer.ts';
import { KonnectivityConnection } from './konnectivity-connection.ts';
import { TunnelConnection } from './tunnel-connection.ts';

/** The connections of all agents, in whichever protocol. */
export class AgentConnections {
  readonly #host: AgentConnectionHost;
  /** Each until its transport is closed, which can be some time after the connection itself. */
  readonly #connections = new Set<AgentConnection>();
  #peers: readonly string[] | undefined;
  #serverCount: number;

  constructor(host: Omit<AgentConnectionHost, 'identifierChanges' | 'servers'>) {
    this.#serverCount = host.options.serverCount;
    this.#host = {
      ...host,
      // Enough for changes of a node's labels.
      identifierChanges: new TokenBuckets({ burst: 20, perSecond: 1 }),
      servers: (): Hello => ({
        serverCount: this.#serverCount,
        ...(this.#peers && { peers: [...this.#peers] }),
      }),
    };
  }

  /** Connections that are backends. */
  get serving(): AgentConnection[] {
    return [...this.#connections].filter(({ state }) => state === 'serving');
  }

  /** Starts a session with an agent that was admitted. */
  addTunnel(transport: Transport, peer: AgentPeer, identify?: IdentifyByToken): void {
    this.#add(new TunnelConnection(this.#host, transport, peer, identify));
  }

  /** Answers the call of a Konnectivity agent that was admitted. */
  addCall(stream: Http2Stream, http2: Http2Connection, peer: AgentPeer): void {
    try {
      this.#add(new KonnectivityConnection(this.#host, stream, http2, peer));
    } catch (error) {
      if (!(error instanceof GrpcError)) throw error;
      const fields = { address: peer.address, reason: error.message };
      this.#host.logger.warn(fields, 'agent refused');
      refuseGrpc(stream, error);
    }
  }

  closeDenied(): void {
    for (const connection of this.#connections) connection.closeIfDenied();
  }

  /** Sends all agents the addresses of the servers: `host:port`, at most 64 (spec 2.11). */
  setPeers(peers: readonly string[]): void {
    this.#peers = peers;
    for (const connection of this.#connections) connection.announceServers();
  }

  /** Sends all agents the number of servers. Konnectivity's agents learn it with their next call. */
  setServerCount(count: number): void {
    this.#serverCount = count;
    for (const connection of this.#connections) connection.announceServers();
  }

  drain(): void {
    for (const connection of this.#connections) connection.drain();
  }

  /** Closes all connections; resolves when what they had queued is sent or lost. */
  async close(): Promise<void> {
    for (const connection of this.#connections) connection.close();
    await Promise.all([...this.#connections].map(({ session }) => session.transportClosed));
  }

  #add(connection: AgentConnection): void {
    this.#connections.add(connection);
    void connection.session.transportClosed.then(() => this.#connections.delete(connection));
  }
}
