export { Http2Connection } from './connection.ts';
export type { ConnectionHandler, ConnectionOptions } from './connection-options.ts';
export { encodeFields, type Fields } from './hpack/encode-fields.ts';
export { Http2Stream } from './stream.ts';
export type { Http2StreamHandler } from './stream-host.ts';
export { ErrorCode, Http2Error } from './wire/frames.ts';
export type { RequestHead } from './wire/request-head.ts';
