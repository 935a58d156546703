export { formatTarget as authorityOf, type Target as TcpAddress } from '@fairlead/protocol';
export { ClientDuplex } from './client-duplex.ts';
export { ClientError, type ClientErrorCode, toClientError } from './client-error.ts';
export type { ClientHandler, ClientStream } from './client-stream.ts';
export { EagerSocket } from './eager-socket.ts';
export { closeRoute } from './http2-session.ts';
export { openClientStream } from './open-client-stream.ts';
export { openDuplex } from './open-duplex.ts';
export type { Address, ClientTls, Route } from './route.ts';
