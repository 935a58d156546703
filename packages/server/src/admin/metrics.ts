import { countPackets } from '@fairlead/konnectivity';
import type { TunnelError } from '@fairlead/protocol';
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { ClaimKind } from '../agents/auth/agent-authorization.ts';
import type { ReviewOutcome } from '../agents/auth/token-authenticator.ts';
import type { BackendCounts } from '../agents/backends.ts';
import type {
  FrontEndObserver,
  FrontEndProtocol,
  GrpcObserver,
  StreamSummary,
} from '../front-end/front-end-options.ts';
import type { LimitName } from '../front-end/stream-limits.ts';
import type { StrategyName } from '../routing/router.ts';

const prefix = 'konnectivity_network_proxy_server_';

/** Konnectivity's reason for a failed dial; `error_response` if it has none. */
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

/** The server's metrics: Konnectivity's names where it has one, `fairlead_server_` otherwise. */
export class ServerMetrics implements FrontEndObserver {
  readonly registry = new Registry();
  readonly #dials = this.#histogram(
    `${prefix}dial_duration_seconds`,
    'Time from the request to the connected target',
    durationBuckets,
  );
  readonly #dialFailures = this.#counter(
    `${prefix}dial_failure_count`,
    'Failed dials, by reason',
    'reason',
  );
  readonly #pendingDials = this.#gauge(
    `${prefix}pending_backend_dials`,
    'Dials that wait for the answer of an agent',
  );
  readonly #established = this.#gauge(`${prefix}established_connections`, 'Open streams');
  readonly #durations = this.#histogram(
    `${prefix}connection_duration_seconds`,
    'Duration of streams, from the request to the end',
    lifetimeBuckets,
  );
  readonly #httpConnections = this.#gauge(
    `${prefix}http_connections`,
    'Streams that clients requested by HTTP CONNECT, dialing or open',
  );
  readonly #backendConnections = this.#gauge(
    `${prefix}ready_backend_connections`,
    'Tunnels to agents, over any transport',
  );
  readonly #frontEndWrites = this.#histogram(
    `${prefix}frontend_write_duration_seconds`,
    'Time that a packet to a gRPC client waits in the send buffer',
    writeBuckets,
  );
  readonly #grpcConnections = this.#gauge(
    `${prefix}grpc_connections`,
    'Open gRPC calls: Proxy from clients, Connect from Konnectivity agents',
    'service_method',
  );
  readonly #fullChannels = this.#gauge(
    `${prefix}full_receive_channels`,
    'gRPC calls that are paused because one of their streams is full',
    'service_method',
  );
  readonly #packets = this.#counter(
    `${prefix}stream_packets_total`,
    'Packets of gRPC calls, by direction and type',
    'segment',
    'packet_type',
  );
  readonly #streamErrors = this.#counter(
    `${prefix}stream_errors_total`,
    'gRPC calls that failed, by direction and gRPC status',
    'segment',
    'code',
    'packet_type',
  );
  readonly #readyBackends = this.#gauge(
    `${prefix}ready_backends`,
    'Tunnels to agents that each configured proxy strategy can choose from',
    'proxy_strategy',
  );
  readonly #handshakes = this.#counter(
    'fairlead_server_agent_handshakes_total',
    'TLS handshakes with agents, by whether an earlier TLS session was resumed',
    'resumed',
  );
  readonly #refused = this.#counter(
    'fairlead_server_refused_requests_total',
    'Client requests that were refused before a dial, by error code',
    'code',
  );
  readonly #refusedAgents = this.#counter(
    'fairlead_server_refused_agents_total',
    'Connections on the agent port that were refused, by reason',
    'reason',
  );
  readonly #streamEnds = this.#counter(
    'fairlead_server_stream_ends_total',
    'Streams that have ended, by error code or "closed"',
    'code',
  );
  readonly #closedStreams = this.#streamEnds.labels('closed');
  readonly #bytes = this.#counter(
    'fairlead_server_stream_bytes_total',
    'Payload bytes of ended streams, by direction',
    'direction',
  );
  readonly #bytesFromClient = this.#bytes.labels('from_client');
  readonly #bytesToClient = this.#bytes.labels('to_client');
  readonly #retries = this.#counter(
    'fairlead_server_dial_retries_total',
    'Dials that were retried on a second agent, by the error code of the first',
    'code',
  );
  readonly #limits = this.#counter(
    'fairlead_server_limit_reached_total',
    'Streams and connections that were refused or closed because of a limit, by limit',
    'limit',
  );
  readonly #policyDenials = this.#counter(
    'fairlead_server_frontend_policy_denials_total',
    'Streams that --frontend-policy denied',
  );
  readonly #uncoveredClaims = this.#counter(
    'fairlead_server_uncovered_claims_total',
    'Claims of agents that no certificate or token covers, by kind and outcome',
    'kind',
    'outcome',
  );
  readonly #tokenReviews = this.#counter(
    'fairlead_server_token_reviews_total',
    'Token reviews by the Kubernetes API, by outcome',
    'outcome',
  );

  /** Adds a gauge that is read when metrics are requested. @param aggregator for `--workers` */
  observe(name: string, help: string, read: () => number, aggregator: 'sum' | 'max' = 'sum'): void {
    new Gauge({
      name,
      help,
      aggregator,
      registers: [this.registry],
      collect() {
        this.set(read());
      },
    });
  }

  /** The observer of gRPC calls, by Konnectivity's name of the method. Call it once per method. */
  grpcCalls(method: 'Proxy' | 'Connect'): GrpcObserver & { onUnknownDial(): void } {
    const peer = method === 'Proxy' ? 'client' : 'agent';
    const segments = { received: `from_${peer}`, sent: `to_${peer}` };
    const connections = this.#grpcConnections.labels(method);
    const fullChannels = this.#fullChannels.labels(method);
    connections.set(0);
    fullChannels.set(0);
    return {
      ...countPackets(this.#packets, this.#streamErrors, segments),
      onCallStart: () => connections.inc(),
      onCallEnd: () => connections.dec(),
      onHeldUp: (isHeldUp) => fullChannels.inc(isHeldUp ? 1 : -1),
      onWritten: (durationMs) => this.#frontEndWrites.observe(durationMs / 1000),
      /** A DIAL_RSP came for a dial that is no longer pending. */
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
    { durationMs, bytesFromClient, bytesToClient, error }: StreamSummary,
  ): void {
    this.#established.dec();
    if (protocol !== 'grpc') this.#httpConnections.dec();
    this.#durations.observe(durationMs / 1000);
    if (error) this.#streamEnds.inc({ code: error.code });
    else this.#closedStreams.inc();
    this.#bytesFromClient.inc(bytesFromClient);
    this.#bytesToClient.inc(bytesToClient);
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

  #counter(name: string, help: string, ...labelNames: string[]) {
    return new Counter({ name, help, labelNames, registers: [this.registry] });
  }

  #gauge(name: string, help: string, ...labelNames: string[]) {
    return new Gauge({ name, help, labelNames, registers: [this.registry] });
  }

  #histogram(name: string, help: string, buckets: number[]) {
    return new Histogram({ name, help, buckets, registers: [this.registry] });
  }
}
