// For tests only, without a promise of stability. Other packages' production code uses index.ts.
export { dialErrorFromText } from './packets/dial-error-text.ts';
export { MESSAGE_HEADER_BYTES, MessageDecoder } from './packets/message-decoder.ts';
export {
  decodePacket,
  encodeDataHead,
  encodePacket,
  parseAddress,
} from './packets/packet-codec.ts';
