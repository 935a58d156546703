// For tests of this package; no promise of stability.
export { parseAddress } from './address.ts';
export { decodePacket } from './decode-packet.ts';
export { dialErrorFromText } from './dial-error-text.ts';
export { encodeDataHead, encodePacket } from './encode-packet.ts';
export { MESSAGE_HEADER_BYTES, MessageDecoder } from './message-decoder.ts';
