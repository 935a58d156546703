export { dialErrorText } from './dial-error-text.ts';
export {
  DialingTunnel,
  type DialingTunnelHandler,
  type DialingTunnelOptions,
} from './dialing-tunnel.ts';
export {
  errorFromTrailers,
  GrpcError,
  goStatusName,
  grpcTrailers,
  toGrpcError,
  trailersOnly,
} from './grpc-status.ts';
export { MAX_MESSAGE_BYTES } from './message-decoder.ts';
export {
  CONNECT_METHOD,
  type Packet,
  type PacketType,
  PROXY_METHOD,
  packetTypes,
} from './packet.ts';
export {
  type PacketDirection,
  type PacketObserver,
  PacketStream,
  type PacketStreamHandler,
} from './packet-stream.ts';
export type { PacketTunnelOptions } from './packet-tunnel.ts';
export { ServingTunnel, type ServingTunnelHandler } from './serving-tunnel.ts';
