import {
  type GrpcError,
  goStatusName,
  type PacketDirection,
  type PacketType,
  packetTypes,
} from '@fairlead/konnectivity';
import type { TunnelError } from '@fairlead/protocol';
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { ClaimKind } from '../agents/auth/agent-authorization.ts';
import type { ReviewOutcome } from '../agents/auth/token-authenticator.ts';
import type { BackendCounts } from '../agents/backends.ts';
import type { AgentCallObserver } from '../agents/grpc-agents.ts';
import type {
  FrontEndObserver,
  FrontEndProtocol,
  GrpcObserver,
} from '../front-end/front-end-options.ts';
import type { LimitName } from '../front-end/stream-limits.ts';
import type { StrategyName } from '../routing/router.ts';

const prefix = 'konnectivity_network_proxy_server_';

/** Konnectivity's reasons for failed dials; what it has no word for is an error response. */
function dialFailureReason(error: TunnelError): string {
  switch (error.code) {
    case 'no_agent':
      return 'no_agent';
    case 'backend_dial_timeout':
    case 'tunnel_silent':
      return 'backend_dial_timeout';
    case 'tunnel_lost':
      return 'backend_close';
    case 'cancelled':
    case 'client_reset':
      return 'frontend_close';
    default:
      return 'error_response';
  }
}

const durationBuckets = [0.001, 0.005, 0.025, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60];
const writeBuckets = [0.000001, 0.00001, 0.0001, 0.005, 0.025, 0.1, 0.5, 2.5, 12.5];
const lifetimeBuckets = [0.01, 0.1, 1, 10, 60, 300, 1800, 7200, 86_400];

/** What is read when somebody asks. */
export interface MetricSources {
  bufferedBytes(): number;
  pendingHandshakes(): number;
  claimConflicts(): number;
}

/** The server's metrics: Konnectivity's names where it has one, `fairlead_server_` otherwise. */
export class ServerMetrics implements FrontEndObserver {
  readonly registry = new Registry();
  readonly #dials = new Histogram({
    name: `${prefix}dial_duration_seconds`,
    help: 'Time from the request to the connected target',
    buckets: durationBuckets,
    registers: [this.registry],
  });
  readonly #dialFailures = new Counter({
    name: `${prefix}dial_failure_count`,
    help: 'Failed dials by reason',
    labelNames: ['reason'],
    registers: [this.registry],
  });
  readonly #pendingDials = new Gauge({
    name: `${prefix}pending_backend_dials`,
    help: 'Dials that wait for an agent',
    registers: [this.registry],
  });
  readonly #established = new Gauge({
    name: `${prefix}established_connections`,
    help: 'Open streams',
    registers: [this.registry],
  });
  readonly #durations = new Histogram({
    name: `${prefix}connection_duration_seconds`,
    help: 'Life time of streams',
    buckets: lifetimeBuckets,
    registers: [this.registry],
  });
  readonly #httpConnections = new Gauge({
    name: `${prefix}http_connections`,
    help: 'Streams by HTTP CONNECT, dialling or open',
    registers: [this.registry],
  });
  readonly #backendConnections = new Gauge({
    name: `${prefix}ready_backend_connections`,
    help: 'Tunnels to agents',
    registers: [this.registry],
  });
  readonly #frontEndWrites = new Histogram({
    name: `${prefix}frontend_write_duration_seconds`,
    help: 'Time that a packet to a gRPC client waits for room',
    buckets: writeBuckets,
    registers: [this.registry],
  });
  readonly #grpcConnections = new Gauge({
    name: `${prefix}grpc_connections`,
    help: 'gRPC calls, of clients (Proxy) and of agents (Connect)',
    labelNames: ['service_method'],
    registers: [this.registry],
  });
  readonly #fullChannels = new Gauge({
    name: `${prefix}full_receive_channels`,
    help: 'gRPC calls from which nothing is read because a stream of theirs is full',
    labelNames: ['service_method'],
    registers: [this.registry],
  });
  readonly #packets = new Counter({
    name: `${prefix}stream_packets_total`,
    help: 'Packets of gRPC calls',
    labelNames: ['segment', 'packet_type'],
    registers: [this.registry],
  });
  readonly #streamErrors = new Counter({
    name: `${prefix}stream_errors_total`,
    help: 'gRPC calls that failed',
    labelNames: ['segment', 'code', 'packet_type'],
    registers: [this.registry],
  });
  readonly #readyBackends = new Gauge({
    name: `${prefix}ready_backends`,
    help: 'Tunnels to agents that each configured proxy strategy can choose from',
    labelNames: ['proxy_strategy'],
    registers: [this.registry],
  });
  readonly #handshakes = new Counter({
    name: 'fairlead_server_agent_handshakes_total',
    help: 'TLS handshakes with agents, by whether an earlier TLS session was resumed',
    labelNames: ['resumed'],
    registers: [this.registry],
  });
  readonly #refused = new Counter({
    name: 'fairlead_server_refused_requests_total',
    help: 'Requests of clients that never came to a dial, by error code',
    labelNames: ['code'],
    registers: [this.registry],
  });
  readonly #refusedAgents = new Counter({
    name: 'fairlead_server_refused_agents_total',
    help: 'Connections on the agent port that got no tunnel, by reason',
    labelNames: ['reason'],
    registers: [this.registry],
  });
  readonly #streamEnds = new Counter({
    name: 'fairlead_server_stream_ends_total',
    help: 'Streams that have ended, by error code or "closed"',
    labelNames: ['code'],
    registers: [this.registry],
  });
  readonly #bytes = new Counter({
    name: 'fairlead_server_stream_bytes_total',
    help: 'Payload bytes of ended streams, by direction',
    labelNames: ['direction'],
    registers: [this.registry],
  });
  readonly #retries = new Counter({
    name: 'fairlead_server_dial_retries_total',
    help: 'Dials that were tried on a second agent, by the error code of the first',
    labelNames: ['code'],
    registers: [this.registry],
  });

  readonly #limits = new Counter({
    name: 'fairlead_server_limit_reached_total',
    help: 'Streams and connections that were refused or cut off because a limit was reached, by limit',
    labelNames: ['limit'],
    registers: [this.registry],
  });
  readonly #policyDenials = new Counter({
    name: 'fairlead_server_frontend_policy_denials_total',
    help: 'Streams that --frontend-policy denied',
    registers: [this.registry],
  });
  readonly #uncoveredClaims = new Counter({
    name: 'fairlead_server_uncovered_claims_total',
    help: 'Claims of agents that their certificates do not cover, by kind and by what became of them',
    labelNames: ['kind', 'outcome'],
    registers: [this.registry],
  });

  readonly #tokenReviews = new Counter({
    name: 'fairlead_server_token_reviews_total',
    help: 'Tokens of agents that the Kubernetes API was asked about, by outcome',
    labelNames: ['outcome'],
    registers: [this.registry],
  });

  constructor(sources: MetricSources) {
    const gauge = (
      name: string,
      help: string,
      read: () => number,
      aggregator: 'sum' | 'max' = 'sum',
    ) =>
      new Gauge({
        name,
        help,
        aggregator,
        registers: [this.registry],
        collect() {
          this.set(read());
        },
      });
    gauge(
      'fairlead_server_buffered_bytes',
      'Bytes that streams hold because a peer does not take them',
      sources.bufferedBytes,
    );
    gauge(
      'fairlead_server_pending_handshakes',
      'Connections that have not proved who they are',
      sources.pendingHandshakes,
    );
    gauge(
      'fairlead_server_claim_conflicts',
      'Hosts and addresses that agents with different certificates claim',
      sources.claimConflicts,
      // Every worker knows the same agents.
      'max',
    );
  }

  /** What gRPC calls report to, by Konnectivity's name for the method. */
  grpcCalls(method: 'Proxy' | 'Connect'): GrpcObserver & AgentCallObserver {
    const peer = method === 'Proxy' ? 'client' : 'agent';
    const segments: Record<PacketDirection, string> = {
      received: `from_${peer}`,
      sent: `to_${peer}`,
    };
    const connections = this.#grpcConnections.labels(method);
    const fullChannels = this.#fullChannels.labels(method);
    const countersOf = (direction: PacketDirection) => {
      const counters = packetTypes.map((type) => [
        type,
        this.#packets.labels(segments[direction], type),
      ]);
      return Object.fromEntries(counters) as Record<PacketType, { inc(): void }>;
    };
    const packets = { received: countersOf('received'), sent: countersOf('sent') };
    connections.set(0);
    fullChannels.set(0);
    return {
      onPacket: (direction, type) => packets[direction][type].inc(),
      onError: (direction: PacketDirection, { status }: GrpcError) => {
        const code = goStatusName(status);
        this.#streamErrors.inc({ segment: segments[direction], code, packet_type: 'Unknown' });
      },
      onCallStart: () => connections.inc(),
      onCallEnd: () => connections.dec(),
      onHeldUp: (isHeldUp) => fullChannels.inc(isHeldUp ? 1 : -1),
      onWritten: (durationMs) => this.#frontEndWrites.observe(durationMs / 1000),
      onUnknownDial: () => this.#dialFailures.inc({ reason: 'unrecognized_response' }),
    };
  }

  onDialStart(protocol: FrontEndProtocol): void {
    this.#pendingDials.inc();
    if (protocol !== 'grpc') this.#httpConnections.inc();
  }

  onDialEnd(protocol: FrontEndProtocol, durationMs: number, error?: TunnelError): void {
    this.#pendingDials.dec();
    if (error) {
      if (protocol !== 'grpc') this.#httpConnections.dec();
      this.#dialFailures.inc({ reason: dialFailureReason(error) });
    } else {
      this.#dials.observe(durationMs / 1000);
      this.#established.inc();
    }
  }

  onStreamEnd(
    protocol: FrontEndProtocol,
    summary: {
      durationMs: number;
      bytesFromClient: number;
      bytesToClient: number;
      error?: TunnelError;
    },
  ): void {
    this.#established.dec();
    if (protocol !== 'grpc') this.#httpConnections.dec();
    this.#durations.observe(summary.durationMs / 1000);
    this.#streamEnds.inc({ code: summary.error?.code ?? 'closed' });
    this.#bytes.inc({ direction: 'from_client' }, summary.bytesFromClient);
    this.#bytes.inc({ direction: 'to_client' }, summary.bytesToClient);
  }

  onRefused(code: string): void {
    this.#refused.inc({ code });
  }

  onAgentRefused(reason: string): void {
    this.#refusedAgents.inc({ reason });
  }

  onRetry(error: TunnelError): void {
    this.#retries.inc({ code: error.code });
  }

  onLimit(limit: LimitName): void {
    this.#limits.inc({ limit });
  }

  onPolicyDenied(): void {
    this.#policyDenials.inc();
  }

  onUncoveredClaim(kind: ClaimKind, refused: boolean): void {
    this.#uncoveredClaims.inc({ kind, outcome: refused ? 'refused' : 'taken' });
  }

  onTokenReview(outcome: ReviewOutcome): void {
    this.#tokenReviews.inc({ outcome });
  }

  onAgentHandshake(isResumed: boolean): void {
    this.#handshakes.inc({ resumed: String(isResumed) });
  }

  /** @param strategies those that are configured */
  setBackends(counts: BackendCounts, strategies: readonly StrategyName[]): void {
    this.#backendConnections.set(counts.default);
    for (const name of strategies) this.#readyBackends.set({ proxy_strategy: name }, counts[name]);
  }
}
