import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import {
  DialingTunnel,
  GrpcError,
  type PacketObserver,
  PacketStream,
} from '@fairlead/konnectivity';
import {
  HELLO_LIMITS,
  type MemoryBudget,
  type Target,
  type TunnelError,
  type TunnelStream,
  toTunnelError,
} from '@fairlead/protocol';
import type { Logger } from '@fairlead/runtime/process';
import { acceptGrpc, refuseGrpc } from '../http2/grpc-answer.ts';
import type { ServerOptions } from '../options.ts';
import type { AgentPeer } from './agent-peer.ts';
import type { AgentClaims } from './auth/agent-authorization.ts';
import type { Backend } from './backend.ts';
import type { Backends } from './backends.ts';
import type { TunnelRules } from './tunnels.ts';

/** What an agent says of itself in the metadata of its call; the same fields as in HELLO. */
interface AgentMetadata {
  readonly agentId: string;
  /** As a URL query, unparsed. */
  readonly agentIdentifiers: string | undefined;
}

const maxAgentIdChars = HELLO_LIMITS.idChars;
const maxIdentifiersChars = HELLO_LIMITS.identifiersChars;

/** A backend whose agent speaks Konnectivity's gRPC. */
export class GrpcBackend implements Backend {
  readonly agentId: string;
  readonly agentIdentifiers: string | undefined;
  readonly peer: AgentPeer;
  readonly session: DialingTunnel;
  readonly claims: AgentClaims;

  constructor(
    session: DialingTunnel,
    metadata: AgentMetadata,
    peer: AgentPeer,
    claims: AgentClaims,
  ) {
    this.session = session;
    this.claims = claims;
    this.agentId = metadata.agentId;
    this.agentIdentifiers = metadata.agentIdentifiers;
    this.peer = peer;
  }

  get isDraining(): boolean {
    return this.session.isDraining;
  }

  /** Its liveness is judged by HTTP/2's own means, and a call that is lost ends. */
  get isSilent(): boolean {
    return false;
  }

  get load(): number {
    return this.session.streamCount;
  }

  dial(target: Target, signal: AbortSignal): Promise<TunnelStream> {
    return this.session.dial(target, signal);
  }
}

/** Told of the calls of agents, for metrics. */
export interface AgentCallObserver extends PacketObserver {
  onCallStart(): void;
  onCallEnd(): void;
  onHeldUp(isHeldUp: boolean): void;
  /** A DIAL_RSP for a dial that nobody waits for. */
  onUnknownDial(): void;
}

export interface GrpcAgentsOptions {
  readonly options: ServerOptions;
  readonly logger: Logger;
  readonly backends: Backends;
  readonly rules: TunnelRules;
  readonly memory: MemoryBudget;
  readonly observer: AgentCallObserver;
}

/** Konnectivity's agents: a tunnel on each of their calls of `AgentService/Connect`. */
export class GrpcAgents {
  readonly #options: GrpcAgentsOptions;
  readonly #backends = new Set<GrpcBackend>();
  /** Of calls that may still have something to send. */
  readonly #transports = new Set<Promise<void>>();
  #serverCount: number;

  constructor(options: GrpcAgentsOptions) {
    this.#options = options;
    this.#serverCount = options.options.serverCount;
  }

  /** How many servers there are; agents learn it with their next call. */
  setServerCount(count: number): void {
    this.#serverCount = count;
  }

  get backends(): GrpcBackend[] {
    return [...this.#backends];
  }

  /** Takes the call of an agent that was admitted, and makes it a backend. */
  add(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, peer: AgentPeer): void {
    const { options, logger, backends, rules, memory, observer } = this.#options;
    let metadata: AgentMetadata;
    let claims: AgentClaims;
    try {
      metadata = readMetadata(headers);
      claims = this.#authorize(metadata, peer);
    } catch (thrown) {
      const error = thrown as GrpcError;
      logger.warn({ address: peer.address, reason: error.message }, 'agent refused');
      refuseGrpc(stream, error);
      return;
    }
    const startedAtMs = performance.now();
    const { session } = stream;
    // Agents wait for these before anything else.
    acceptGrpc(stream, { serverid: options.serverId, servercount: String(this.#serverCount) });
    observer.onCallStart();
    const tunnel = new DialingTunnel(
      new PacketStream(stream, 'server', observer),
      {
        onDraining: () => {
          backends.refresh(backend);
          logger.info(describe(backend), 'agent drains');
        },
        onUnknownDial: () => observer.onUnknownDial(),
        onClose: (error) => {
          this.#backends.delete(backend);
          backends.remove(backend);
          rules.exclusiveClaims.remove(backend);
          observer.onCallEnd();
          // An agent has one call per connection; what is left of it would only linger.
          if (error && session && !session.destroyed) session.destroy();
          this.#logEnd(backend, performance.now() - startedAtMs, error);
        },
      },
      {
        pingIntervalMs: options.pingInterval,
        pingTimeoutMs: options.pingTimeout,
        stalledStreamTimeoutMs: options.stalledStreamTimeout,
        halfCloseTimeoutMs: options.halfCloseTimeout,
        memory,
        probe: (onAnswer) => {
          if (!session || session.destroyed) return;
          session.ping((error, rttMs) => {
            if (!error) onAnswer(rttMs);
          });
        },
        onHeldUp: (isHeldUp) => observer.onHeldUp(isHeldUp),
      },
    ).start();
    const backend = new GrpcBackend(tunnel, metadata, peer, claims);
    const closed = tunnel.transportClosed.then(() => {
      this.#transports.delete(closed);
    });
    this.#transports.add(closed);
    this.#backends.add(backend);
    backends.add(backend);
    rules.exclusiveClaims.update(backend);
    logger.info({ ...describe(backend), software: headers['user-agent'] }, 'agent connected');
  }

  /** Ends the calls of peers that may not be here any more. */
  closeDenied(): void {
    for (const { peer, session } of [...this.#backends]) {
      const reason = this.#options.rules.whyDenied(peer);
      if (reason !== undefined) session.close();
    }
  }

  /** @throws GrpcError `PERMISSION_DENIED` for a peer or for claims that are not to be here */
  #authorize({ agentId, agentIdentifiers }: AgentMetadata, peer: AgentPeer): AgentClaims {
    const { authorizer, whyDenied, onUnauthorized } = this.#options.rules;
    const reason = whyDenied(peer);
    if (reason !== undefined) throw new GrpcError('PERMISSION_DENIED', reason);
    try {
      return authorizer.authorize(agentId, agentIdentifiers, peer);
    } catch (error) {
      onUnauthorized();
      throw new GrpcError('PERMISSION_DENIED', toTunnelError(error).message);
    }
  }

  /** Ends all calls; resolves when they are over. */
  async close(): Promise<void> {
    for (const { session } of [...this.#backends]) session.close();
    await Promise.all(this.#transports);
  }

  #logEnd(backend: GrpcBackend, durationMs: number, error: TunnelError | undefined): void {
    const fields = {
      ...describe(backend),
      durationMs: Math.round(durationMs),
      code: error?.code,
      reason: error?.message,
    };
    if (error) this.#options.logger.warn(fields, 'agent disconnected');
    else this.#options.logger.info(fields, 'agent disconnected');
  }
}

/** @throws GrpcError `INVALID_ARGUMENT` that names the metadata */
function readMetadata(headers: IncomingHttpHeaders): AgentMetadata {
  const { agentid: agentId, agentidentifiers: agentIdentifiers } = headers;
  if (typeof agentId !== 'string' || agentId === '' || agentId.length > maxAgentIdChars) {
    const text = `the metadata must have one agentID of 1 to ${maxAgentIdChars} characters`;
    throw new GrpcError('INVALID_ARGUMENT', text);
  }
  if (agentIdentifiers === undefined) return { agentId, agentIdentifiers };
  if (typeof agentIdentifiers !== 'string' || agentIdentifiers.length > maxIdentifiersChars) {
    const text = `the metadata may have one agentIdentifiers of at most ${maxIdentifiersChars} characters`;
    throw new GrpcError('INVALID_ARGUMENT', text);
  }
  return { agentId, agentIdentifiers };
}

function describe({ agentId, peer }: GrpcBackend): object {
  return {
    agent: agentId,
    address: peer.address,
    commonName: peer.commonName,
    account: peer.token?.username,
    node: peer.token?.nodeName,
    transport: 'grpc',
  };
}
