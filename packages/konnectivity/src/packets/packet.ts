/**
 * The messages of Konnectivity's `client.proto`: one `Packet`, whose `type` says which payload it
 * carries. Both of its gRPC methods are bidirectional streams of it.
 */

/** Packet types by their numbers in the protobuf enum. */
export const packetTypes = [
  'DIAL_REQ',
  'DIAL_RSP',
  'CLOSE_REQ',
  'CLOSE_RSP',
  'DATA',
  'DIAL_CLS',
  'DRAIN',
] as const;

export type PacketType = (typeof packetTypes)[number];

/**
 * One packet. `random` (63 bits, chosen by whoever dials) names a dial, `connectId` (counted by the
 * agent) the connection that came of it; neither fits into a double.
 */
export type Packet =
  | {
      readonly type: 'DIAL_REQ';
      /** Always "tcp". */
      readonly protocol: string;
      /** `host:port`, IPv6 in brackets. */
      readonly address: string;
      readonly random: bigint;
    }
  | {
      readonly type: 'DIAL_RSP';
      /** Empty when the target is connected. */
      readonly error: string;
      readonly connectId: bigint;
      readonly random: bigint;
    }
  | { readonly type: 'CLOSE_REQ'; readonly connectId: bigint }
  | { readonly type: 'CLOSE_RSP'; readonly error: string; readonly connectId: bigint }
  | {
      readonly type: 'DATA';
      readonly connectId: bigint;
      /** Never set by the peers that exist. */
      readonly error: string;
      readonly data: Buffer;
    }
  | { readonly type: 'DIAL_CLS'; readonly random: bigint }
  | { readonly type: 'DRAIN' };

/** The path of the front end's method: clients dial through it. */
export const PROXY_METHOD = '/ProxyService/Proxy';

/** The path of the agents' method. */
export const CONNECT_METHOD = '/AgentService/Connect';

/** What DATA for a connection that nobody knows is answered with, in CLOSE_RSP. */
export const UNRECOGNIZED_CONNECTION = 'unrecognized connectID';
