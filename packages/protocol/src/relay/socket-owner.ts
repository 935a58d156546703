import type { Duplex } from 'node:stream';

/** Receives the events of a socket. */
export interface SocketOwner {
  onSocketData(chunk: Buffer): void;
  onSocketEnd(): void;
  /** `onSocketClose` follows. */
  onSocketError(error: Error): void;
  onSocketClose(): void;
}

const kOwner = Symbol('owner');
type OwnedSocket = Duplex & { [kOwner]?: SocketOwner };

/**
 * Passes a socket's events to an owner, instead of to its last one. All sockets share the listeners, so that a socket
 * costs no closures, and a new owner adds and removes none. Like `on('data')`, the first call lets the socket flow.
 */
export function ownSocket(socket: Duplex, owner: SocketOwner): void {
  const owned: OwnedSocket = socket;
  const isNew = owned[kOwner] === undefined;
  owned[kOwner] = owner;
  if (!isNew) return;
  socket.on('data', onData);
  socket.on('end', onEnd);
  socket.on('error', onError);
  socket.on('close', onClose);
}

function onData(this: OwnedSocket, chunk: Buffer): void {
  this[kOwner]!.onSocketData(chunk);
}

function onEnd(this: OwnedSocket): void {
  this[kOwner]!.onSocketEnd();
}

function onError(this: OwnedSocket, error: Error): void {
  this[kOwner]!.onSocketError(error);
}

function onClose(this: OwnedSocket): void {
  this[kOwner]!.onSocketClose();
}
