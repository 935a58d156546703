import { type Target, TunnelError } from '@fairlead/protocol';
import { Connection, type ConnectionHost } from './connection.ts';

/** How long a target may go on sending after the client has closed: it is thrown away. */
const closeLingerMs = 5_000;

/** What a connection on the agent's side needs of its tunnel. */
export interface ServedConnectionHost extends ConnectionHost {
  /** Gives the connection its number and sends DIAL_RSP. */
  sendAccepted(connection: ServedConnection): void;
  sendRefused(connection: ServedConnection, error: TunnelError): void;
  /** Sends CLOSE_RSP: the connection has no number from here on. */
  sendClosed(connection: ServedConnection, error?: TunnelError): void;
}

/** A connection on the side that is dialled: the agent's, towards a target. */
export class ServedConnection extends Connection {
  /** The server's number for the dial. */
  readonly random: bigint;
  readonly #host: ServedConnectionHost;
  #lingerTimer: NodeJS.Timeout | undefined;

  constructor(target: Target, random: bigint, host: ServedConnectionHost) {
    super(target, 'offered', host);
    this.#host = host;
    this.random = random;
  }

  accept(): void {
    if (this.phase !== 'offered') return;
    this.phase = 'open';
    this.#host.sendAccepted(this);
  }

  refuse(error: TunnelError): void {
    if (this.phase !== 'offered') return;
    this.#host.sendRefused(this, error);
    this.close(error);
  }

  /** The target's end. The server's side has no word for it but a full close. */
  end(): void {
    if (this.phase !== 'open' || this.ended) return;
    this.ended = true;
    if (!this.peerEnded) {
      this.#host.sendClosed(this);
      this.endFromPeer();
    }
    this.close();
  }

  reset(error: TunnelError): void {
    if (this.phase === 'offered') {
      this.refuse(error);
      return;
    }
    if (this.isClosed) return;
    if (!this.peerEnded) this.#host.sendClosed(this, error);
    this.close(error);
  }

  /** CLOSE_REQ: the client has closed. The target gets what is on its way to it, and the end. */
  onCloseRequest(): void {
    if (this.phase !== 'open' || this.peerEnded) return;
    this.#host.sendClosed(this);
    this.#lingerTimer = setTimeout(() => {
      this.close(new TunnelError('cancelled', 'the client closed, and the target went on sending'));
    }, closeLingerMs);
    this.endFromPeer();
  }

  /** DIAL_CLS: nobody waits for the dial any more. */
  onDialClosed(): void {
    if (this.phase === 'offered') this.close(new TunnelError('cancelled'));
  }

  protected override close(error?: TunnelError): void {
    clearTimeout(this.#lingerTimer);
    super.close(error);
  }
}
