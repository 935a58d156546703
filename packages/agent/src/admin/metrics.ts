import {
  goStatusName,
  type PacketDirection,
  type PacketObserver,
  type PacketType,
  packetTypes,
} from '@fairlead/konnectivity';
import type { TunnelError } from '@fairlead/protocol';
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { ServerTunnels } from '../servers/server-tunnels.ts';

const PREFIX = 'konnectivity_network_proxy_agent_';
const DURATION_BUCKETS_S = [0.0005, 0.001, 0.005, 0.025, 0.1, 0.5, 1, 2.5, 5];

/** The agent's metrics: Konnectivity's names where it has one, `fairlead_agent_` otherwise. */
export class AgentMetrics {
  readonly registry = new Registry();
  readonly #dials = new Histogram({
    name: `${PREFIX}dial_duration_seconds`,
    help: 'Time to connect to a target',
    buckets: DURATION_BUCKETS_S,
    registers: [this.registry],
  });
  readonly #dialFailures = new Counter({
    name: `${PREFIX}endpoint_dial_failure_total`,
    help: 'Failed dials to targets',
    labelNames: ['reason'],
    registers: [this.registry],
  });
  readonly #streams = new Gauge({
    name: `${PREFIX}open_endpoint_connections`,
    help: 'Open streams to targets',
    registers: [this.registry],
  });
  readonly #packets = new Counter({
    name: `${PREFIX}stream_packets_total`,
    help: 'Packets of gRPC calls to servers',
    labelNames: ['segment', 'packet_type'],
    registers: [this.registry],
  });
  readonly #streamErrors = new Counter({
    name: `${PREFIX}stream_errors_total`,
    help: 'gRPC calls to servers that failed',
    labelNames: ['segment', 'code', 'packet_type'],
    registers: [this.registry],
  });
  readonly #lostTunnels = new Counter({
    name: `${PREFIX}server_connection_failure_count`,
    help: 'Tunnels to servers that were lost',
    labelNames: ['direction'],
    registers: [this.registry],
  });
  readonly #connectFailures = new Counter({
    name: 'fairlead_agent_connect_failures_total',
    help: 'Failed attempts to reach a server, by reason',
    labelNames: ['reason'],
    registers: [this.registry],
  });
  readonly #bytes = new Counter({
    name: 'fairlead_agent_stream_bytes_total',
    help: 'Payload bytes of ended streams, by direction',
    labelNames: ['direction'],
    registers: [this.registry],
  });
  readonly #streamEnds = new Counter({
    name: 'fairlead_agent_stream_ends_total',
    help: 'Streams that have ended, by error code or "closed"',
    labelNames: ['code'],
    registers: [this.registry],
  });

  readonly #certificateRequests = new Counter({
    name: 'fairlead_agent_certificate_requests_total',
    help: 'Certificates that the agent asked the issuer for, by how (enrol, renew) and with what outcome',
    labelNames: ['request', 'outcome'],
    registers: [this.registry],
  });
  readonly #policyDenials = new Counter({
    name: 'fairlead_agent_policy_denials_total',
    help: 'Streams that --allow, --deny and --policy-file did not let through',
    registers: [this.registry],
  });
  /** What gRPC calls to servers report to. */
  readonly packetObserver = this.#makePacketObserver();

  onTunnelLost(): void {
    this.#lostTunnels.inc({ direction: 'from_server' });
  }

  onDialEnd(durationMs: number, error?: TunnelError): void {
    if (error) {
      if (error.code === 'policy_denied') this.#policyDenials.inc();
      this.#dialFailures.inc({ reason: error.code === 'dial_timeout' ? 'timeout' : 'unknown' });
    } else {
      this.#dials.observe(durationMs / 1000);
      this.#streams.inc();
    }
  }

  onStreamEnd(fromTarget: number, toTarget: number, error?: TunnelError): void {
    this.#streams.dec();
    this.#streamEnds.inc({ code: error?.code ?? 'closed' });
    this.#bytes.inc({ direction: 'from_target' }, fromTarget);
    this.#bytes.inc({ direction: 'to_target' }, toTarget);
  }

  onConnectFailed(reason: string): void {
    this.#connectFailures.inc({ reason });
  }

  onCertificateRequest(request: 'enrol' | 'renew', isIssued: boolean): void {
    this.#certificateRequests.inc({ request, outcome: isIssued ? 'issued' : 'failed' });
  }

  /** Reads the number of tunnels and servers whenever the metrics are collected. */
  observeTunnels(tunnels: ServerTunnels): void {
    new Gauge({
      name: `${PREFIX}open_server_connections`,
      help: 'Tunnels to servers',
      registers: [this.registry],
      collect() {
        this.set(tunnels.readyCount);
      },
    });
    new Gauge({
      name: `${PREFIX}known_server_count`,
      help: 'How many servers there are, as the servers say',
      registers: [this.registry],
      collect() {
        this.set(tunnels.serverCount);
      },
    });
  }

  #makePacketObserver(): PacketObserver {
    const segments: Record<PacketDirection, string> = { received: 'to_agent', sent: 'from_agent' };
    const countersOf = (segment: string) => {
      const counters = packetTypes.map((type) => [type, this.#packets.labels(segment, type)]);
      return Object.fromEntries(counters) as Record<PacketType, { inc(): void }>;
    };
    const packets = {
      received: countersOf(segments.received),
      sent: countersOf(segments.sent),
    };
    return {
      onPacket: (direction, type) => packets[direction][type].inc(),
      onError: (direction, { status }) => {
        const code = goStatusName(status);
        this.#streamErrors.inc({ segment: segments[direction], code, packet_type: 'Unknown' });
      },
    };
  }
}
