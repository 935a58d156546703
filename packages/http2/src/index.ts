export { Http2Connection } from './connection.ts';
export type { ConnectionHandler, ConnectionOptions } from './connection-options.ts';
export { ErrorCode, Http2Error } from './frames.ts';
export { encodeFields, type Fields } from './hpack/encode-fields.ts';
export type { RequestHead } from './request-head.ts';
export { Http2Stream, type Http2StreamHandler } from './stream.ts';
