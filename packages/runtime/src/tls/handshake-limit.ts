import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';

/**
 * Limits the connections that have not authenticated yet: in their TLS handshake, or waiting for the reason
 * of a refusal, on all ports together. Beyond the limit the oldest is closed. A normal handshake takes
 * milliseconds, so a flood of silent connections cannot lock others out.
 */
export class HandshakeLimit {
  readonly #max: number;
  readonly #onCut: () => void;
  /** Oldest first. */
  readonly #waiting = new Map<string, Socket>();

  /** @param onCut called for each connection that is closed */
  constructor(max: number, onCut: () => void) {
    this.#max = max;
    this.#onCut = onCut;
  }

  get count(): number {
    return this.#waiting.size;
  }

  begin(socket: Socket): void {
    const key = endpointsOf(socket);
    this.#waiting.set(key, socket);
    socket.once('close', () => this.#forget(key, socket));
    if (this.#waiting.size <= this.#max) return;
    const [oldest] = this.#waiting;
    if (!oldest) return;
    this.#waiting.delete(oldest[0]);
    this.#onCut();
    oldest[1].destroy();
  }

  /** Stops counting a connection: its peer is authenticated. */
  end(socket: TLSSocket): void {
    this.#waiting.delete(endpointsOf(socket));
  }

  #forget(key: string, socket: Socket): void {
    // A newer connection may have the same ports.
    if (this.#waiting.get(key) === socket) this.#waiting.delete(key);
  }
}

/** Node does not link a TLS socket to its TCP socket, but both have the same addresses and ports. */
export function endpointsOf({
  remoteAddress,
  remotePort,
  localAddress,
  localPort,
}: Socket): string {
  return `${remoteAddress} ${remotePort} ${localAddress} ${localPort}`;
}
