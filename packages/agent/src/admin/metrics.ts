import { countPackets } from '@fairlead/konnectivity';
import type { TunnelError } from '@fairlead/protocol';
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { ServerTunnels } from '../servers/server-tunnels.ts';

const PREFIX = 'konnectivity_network_proxy_agent_';
const DURATION_BUCKETS_S = [0.0005, 0.001, 0.005, 0.025, 0.1, 0.5, 1, 2.5, 5];

/** The agent's metrics: with Konnectivity's names where it has one, otherwise `fairlead_agent_`. */
export class AgentMetrics {
  readonly registry = new Registry();
  readonly #dials = new Histogram({
    name: `${PREFIX}dial_duration_seconds`,
    help: 'Time to connect to a target, including name resolution',
    buckets: DURATION_BUCKETS_S,
    registers: [this.registry],
  });
  readonly #streams = new Gauge({
    name: `${PREFIX}open_endpoint_connections`,
    help: 'Open streams to targets',
    registers: [this.registry],
  });
  readonly #dialFailures = this.#counter(
    `${PREFIX}endpoint_dial_failure_total`,
    'Failed dials to targets, by reason',
    ['reason'],
  );
  readonly #packets = this.#counter(
    `${PREFIX}stream_packets_total`,
    'Packets of gRPC calls to Konnectivity servers, by direction and type',
    ['segment', 'packet_type'],
  );
  readonly #streamErrors = this.#counter(
    `${PREFIX}stream_errors_total`,
    'gRPC calls to Konnectivity servers that failed, by direction and gRPC status',
    ['segment', 'code', 'packet_type'],
  );
  readonly #lostTunnels = this.#counter(
    `${PREFIX}server_connection_failure_count`,
    'Tunnels to servers that were lost',
    ['direction'],
  );
  readonly #connectFailures = this.#counter(
    'fairlead_agent_connect_failures_total',
    'Failed attempts to connect to a server, by reason',
    ['reason'],
  );
  readonly #bytes = this.#counter(
    'fairlead_agent_stream_bytes_total',
    'Payload bytes of ended streams, by direction',
    ['direction'],
  );
  readonly #bytesFromTarget = this.#bytes.labels('from_target');
  readonly #bytesToTarget = this.#bytes.labels('to_target');
  readonly #streamEnds = this.#counter(
    'fairlead_agent_stream_ends_total',
    'Streams that have ended, by error code or "closed"',
    ['code'],
  );
  readonly #closedStreams = this.#streamEnds.labels('closed');
  readonly #certificateRequests = this.#counter(
    'fairlead_agent_certificate_requests_total',
    'Certificate requests to the issuer, by request (enrol, renew) and outcome',
    ['request', 'outcome'],
  );
  readonly #policyDenials = this.#counter(
    'fairlead_agent_policy_denials_total',
    'Streams that --allow, --deny and --policy-file denied',
  );
  readonly packetObserver = countPackets(this.#packets, this.#streamErrors, {
    received: 'to_agent',
    sent: 'from_agent',
  });

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
    if (error) this.#streamEnds.inc({ code: error.code });
    else this.#closedStreams.inc();
    this.#bytesFromTarget.inc(fromTarget);
    this.#bytesToTarget.inc(toTarget);
  }

  onConnectFailed(reason: string): void {
    this.#connectFailures.inc({ reason });
  }

  onCertificateRequest(request: 'enrol' | 'renew', isIssued: boolean): void {
    this.#certificateRequests.inc({ request, outcome: isIssued ? 'issued' : 'failed' });
  }

  /** Reads the number of tunnels and servers whenever the metrics are collected. */
  observeTunnels(tunnels: ServerTunnels): void {
    const gauge = (name: string, help: string, read: () => number) =>
      new Gauge({
        name: `${PREFIX}${name}`,
        help,
        registers: [this.registry],
        collect() {
          this.set(read());
        },
      });
    gauge('open_server_connections', 'Tunnels to servers', () => tunnels.readyCount);
    const help = 'How many servers exist, by their HELLOs or Leases';
    gauge('known_server_count', help, () => tunnels.serverCount);
  }

  #counter(name: string, help: string, labelNames: readonly string[] = []): Counter {
    return new Counter({ name, help, labelNames, registers: [this.registry] });
  }
}
