import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';

/**
 * How many connections may be in their TLS handshake, or wait to be told why they are refused, on all
 * ports together. Beyond that the one that has waited longest is cut off: an honest handshake takes
 * some milliseconds, so that a crowd of silent connections cannot keep others out.
 */
export class HandshakeLimit {
  readonly #max: number;
  readonly #onCut: () => void;
  /** In the order of their arrival. */
  readonly #waiting = new Map<string, Socket>();

  /** @param onCut told of each connection that is cut off */
  constructor(max: number, onCut: () => void) {
    this.#max = max;
    this.#onCut = onCut;
  }

  get count(): number {
    return this.#waiting.size;
  }

  /** Counts a TCP connection from its start. */
  begin(socket: Socket): void {
    const name = nameOf(socket);
    this.#waiting.set(name, socket);
    socket.once('close', () => this.#forget(name, socket));
    if (this.#waiting.size <= this.#max) return;
    const [oldest] = this.#waiting;
    if (!oldest) return;
    this.#waiting.delete(oldest[0]);
    this.#onCut();
    oldest[1].destroy();
  }

  /** The peer is known and admitted: it counts no more. */
  end(socket: TLSSocket): void {
    this.#waiting.delete(nameOf(socket));
  }

  #forget(name: string, socket: Socket): void {
    // The system may have given the same port to a successor.
    if (this.#waiting.get(name) === socket) this.#waiting.delete(name);
  }
}

/** Node does not tell which TCP connection a TLS connection runs on, but both have the same ends. */
function nameOf({ remoteAddress, remotePort, localAddress, localPort }: Socket): string {
  return `${remoteAddress} ${remotePort} ${localAddress} ${localPort}`;
}
