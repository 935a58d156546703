import { type Target, TunnelError } from '@fairlead/protocol';
import { Connection, type ConnectionHost } from './connection.ts';

/** How long a target may go on sending after the client has closed. Its bytes are dropped. */
const closeLingerMs = 5_000;

/**
 * In HTTP CONNECT mode, Konnectivity's server can write a target's bytes to the client before its own answer, if they
 * follow DIAL_RSP directly. So bytes of the target wait for this time, or until bytes of the client show that the client
 * has the answer.
 */
const answerHeadStartMs = 25;

/** What a connection on the agent's side needs of its tunnel. */
export interface ServedConnectionHost extends ConnectionHost {
  /** Numbers the connection and sends DIAL_RSP. */
  sendAccepted(connection: ServedConnection): void;
  sendRefused(connection: ServedConnection, error: TunnelError): void;
  /** Sends CLOSE_RSP. The connection has no number from here on. */
  sendClosed(connection: ServedConnection, error?: TunnelError): void;
}

/** A connection on the dialed side: on the agent, to a target. */
export class ServedConnection extends Connection {
  /** The server's number for the dial. */
  readonly random: bigint;
  readonly #host: ServedConnectionHost;
  #lingerTimer: NodeJS.Timeout | undefined;
  /** Runs while bytes of the target wait. */
  #headStartTimer: NodeJS.Timeout | undefined;
  #heldBack: Buffer[] = [];
  #endHeldBack = false;

  constructor(target: Target, random: bigint, host: ServedConnectionHost) {
    super(target, 'offered', host);
    this.#host = host;
    this.random = random;
  }

  accept(): void {
    if (this.phase !== 'offered') return;
    this.phase = 'open';
    this.#host.sendAccepted(this);
    this.#headStartTimer = setTimeout(() => this.#releaseHeldBack(), answerHeadStartMs);
  }

  refuse(error: TunnelError): void {
    if (this.phase !== 'offered') return;
    this.#host.sendRefused(this, error);
    this.close(error);
  }

  override write(chunk: Buffer): boolean {
    if (!this.#headStartTimer) return super.write(chunk);
    this.#heldBack.push(chunk);
    return false;
  }

  /** The target's end. The wire can only express it as a full close. */
  end(): void {
    if (this.phase !== 'open' || this.ended) return;
    if (this.#headStartTimer) {
      this.#endHeldBack = true;
      return;
    }
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

  /** CLOSE_REQ: the client has closed. The target gets the remaining bytes and the end. */
  onCloseRequest(): void {
    if (this.phase !== 'open' || this.peerEnded) return;
    this.#releaseHeldBack();
    if (this.isClosed) return;
    this.#host.sendClosed(this);
    this.#lingerTimer = setTimeout(() => {
      this.close(new TunnelError('cancelled', 'the client closed, and the target went on sending'));
    }, closeLingerMs);
    this.endFromPeer();
  }

  /** DIAL_CLS: the server has canceled the dial. */
  onDialClosed(): void {
    if (this.phase === 'offered') this.close(new TunnelError('cancelled'));
  }

  protected override onActivity(): void {
    this.#releaseHeldBack();
  }

  protected override close(error?: TunnelError): void {
    clearTimeout(this.#lingerTimer);
    clearTimeout(this.#headStartTimer);
    super.close(error);
  }

  #releaseHeldBack(): void {
    if (!this.#headStartTimer) return;
    clearTimeout(this.#headStartTimer);
    this.#headStartTimer = undefined;
    const held = this.#heldBack.splice(0);
    for (const chunk of held) super.write(chunk);
    if (this.#endHeldBack) this.end();
    else if (held.length > 0) this.onRoom();
  }
}
