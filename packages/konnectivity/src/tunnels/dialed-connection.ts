import { cleanText, type Target, TunnelError } from '@fairlead/protocol';
import { Connection, type ConnectionHost } from './connection.ts';

const clientStayed = 'the client did not end its side after the target had closed';

/** What a connection on the dialling side needs of its tunnel. */
export interface DialedConnectionHost extends ConnectionHost {
  readonly halfCloseTimeoutMs: number;
  /** Sends CLOSE_REQ. */
  sendClose(connection: DialedConnection): void;
}

/**
 * A connection on the side that dialled: the server's, towards an agent.
 *
 * The wire knows no half-close: CLOSE_REQ makes an agent close both directions, and with them what it still
 * has for the target. So the end of our direction is kept back until the target has ended its own, at the
 * latest until nothing has come from it for a while.
 */
export class DialedConnection extends Connection {
  readonly #host: DialedConnectionHost;
  #halfCloseTimer: NodeJS.Timeout | undefined;

  constructor(target: Target, connectId: bigint, host: DialedConnectionHost) {
    super(target, 'open', host);
    this.#host = host;
    this.connectId = connectId;
  }

  /** Only agents accept. */
  accept(): void {}

  refuse(error: TunnelError): void {
    this.reset(error);
  }

  end(): void {
    if (this.isClosed || this.ended) return;
    this.ended = true;
    if (this.peerEnded) this.close();
    else this.#afterIdle(() => this.#closeForClient());
  }

  reset(error: TunnelError): void {
    if (this.isClosed) return;
    if (!this.peerEnded) this.#host.sendClose(this);
    this.close(error);
  }

  /** CLOSE_RSP: the agent has closed the target's connection, both directions. */
  onCloseResponse(error: string): void {
    if (this.isClosed || this.peerEnded) return;
    if (error !== '') {
      this.peerEnded = true;
      this.close(new TunnelError('target_reset', cleanText(error)));
      return;
    }
    this.endFromPeer();
    if (this.ended) this.close();
    else this.#afterIdle(() => this.reset(new TunnelError('cancelled', clientStayed)));
  }

  protected override onActivity(): void {
    this.#halfCloseTimer?.refresh();
  }

  protected override close(error?: TunnelError): void {
    clearTimeout(this.#halfCloseTimer);
    super.close(error);
  }

  /** The client ended long ago, and most clients that end their side have closed altogether. */
  #closeForClient(): void {
    this.#host.sendClose(this);
    this.endFromPeer();
    this.close();
  }

  #afterIdle(act: () => void): void {
    clearTimeout(this.#halfCloseTimer);
    this.#halfCloseTimer = setTimeout(act, this.#host.halfCloseTimeoutMs);
  }
}
