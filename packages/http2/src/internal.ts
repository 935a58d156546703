/** For this package's own tests. */
export { FrameReader, type FrameSink } from './frame-reader.ts';
export { encodeFrame, encodeNumbers, FrameType, PREFACE } from './frames.ts';
export { HpackDecoder } from './hpack/hpack-decoder.ts';
export { decodeHuffman } from './hpack/huffman.ts';
