import { goStatusName } from './grpc-status.ts';
import { type PacketType, packetTypes } from './packet.ts';
import type { PacketDirection, PacketObserver } from './packet-stream.ts';

/**
 * The observer that counts the packets and the failures of gRPC calls, in counters of prom-client.
 * @param packets with the labels `segment` and `packet_type`
 * @param errors with the labels `segment`, `code` and `packet_type`
 * @param segments the label of each direction: `from_agent`
 */
export function countPackets(
  packets: { labels(segment: string, type: PacketType): { inc(): void } },
  errors: { inc(labels: object): void },
  segments: Readonly<Record<PacketDirection, string>>,
): PacketObserver {
  const countersOf = (segment: string) => {
    const counters = packetTypes.map((type) => [type, packets.labels(segment, type)]);
    return Object.fromEntries(counters) as Record<PacketType, { inc(): void }>;
  };
  const counters = { received: countersOf(segments.received), sent: countersOf(segments.sent) };
  return {
    onPacket: (direction, type) => counters[direction][type].inc(),
    onError: (direction, { status }) => {
      const code = goStatusName(status);
      errors.inc({ segment: segments[direction], code, packet_type: 'Unknown' });
    },
  };
}
