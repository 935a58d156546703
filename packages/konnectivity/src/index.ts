export { ClientCall } from './packets/client-call.ts';
export { countPackets } from './packets/count-packets.ts';
export { dialErrorText } from './packets/dial-error-text.ts';
export {
  errorFromTrailers,
  GrpcError,
  goStatusName,
  grpcTrailers,
  toGrpcError,
  trailersOnly,
} from './packets/grpc-status.ts';
export { MAX_MESSAGE_BYTES, MessageDecoder } from './packets/message-decoder.ts';
export {
  CONNECT_METHOD,
  type Packet,
  PROXY_METHOD,
  packetTypes,
} from './packets/packet.ts';
export { decodePacket, encodeDataHead, encodePacket } from './packets/packet-codec.ts';
export {
  type PacketObserver,
  PacketStream,
  type PacketStreamHandler,
} from './packets/packet-stream.ts';
export { ServerCall } from './packets/server-call.ts';
export {
  DialingTunnel,
  type DialingTunnelHandler,
  type DialingTunnelOptions,
} from './tunnels/dialing-tunnel.ts';
export type { PacketTunnelOptions } from './tunnels/packet-tunnel.ts';
export { ServingTunnel, type ServingTunnelHandler } from './tunnels/serving-tunnel.ts';
