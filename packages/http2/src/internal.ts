/** For this package's own tests. */

export { HpackDecoder } from './hpack/hpack-decoder.ts';
export { decodeHuffman } from './hpack/huffman.ts';
export { FrameReader, type FrameSink } from './wire/frame-reader.ts';
export { encodeFrame, encodeNumbers, FrameType, PREFACE } from './wire/frames.ts';
