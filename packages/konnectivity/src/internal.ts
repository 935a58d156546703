// For tests of this package; no promise of stability.
export { parseAddress } from './packets/address.ts';
export { decodePacket } from './packets/decode-packet.ts';
export { dialErrorFromText } from './packets/dial-error-text.ts';
export { encodeDataHead, encodePacket } from './packets/encode-packet.ts';
export { MESSAGE_HEADER_BYTES, MessageDecoder } from './packets/message-decoder.ts';
