/**
 * Konnectivity's `client.proto` has one message, `Packet`, whose `type` says which payload it carries. Both gRPC
 * methods are bidirectional streams of it.
 */

/** Packet types, each at the index that is its number in the protobuf enum. */
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
 * One packet. `random` identifies a dial: 63 bits, chosen by the side that dials. `connectId` identifies the connection
 * that the dial opens, and the agent counts it. Neither fits a double.
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
      /** Empty if the target is connected. */
      readonly error: string;
      readonly connectId: bigint;
      readonly random: bigint;
    }
  | { readonly type: 'CLOSE_REQ'; readonly connectId: bigint }
  | { readonly type: 'CLOSE_RSP'; readonly error: string; readonly connectId: bigint }
  | {
      readonly type: 'DATA';
      readonly connectId: bigint;
      /** Known peers never set it. */
      readonly error: string;
      readonly data: Buffer;
    }
  | { readonly type: 'DIAL_CLS'; readonly random: bigint }
  | { readonly type: 'DRAIN' };

export type ControlPacket = Exclude<Packet, { readonly type: 'DATA' }>;

/** The path of the front end's method, through which clients dial. */
export const PROXY_METHOD = '/ProxyService/Proxy';

/** The path of the method that agents call. */
export const CONNECT_METHOD = '/AgentService/Connect';

/** The error in the CLOSE_RSP that answers a packet for an unknown connection. */
export const UNRECOGNIZED_CONNECTION = 'unrecognized connectID';
