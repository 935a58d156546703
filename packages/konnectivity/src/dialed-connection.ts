import { cleanText, type Target, TunnelError } from '@fairlead/protocol';
import { Connection, type ConnectionHost } from './connection.ts';

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
 * has for the target. So the end of our direction is kept back until the target has ended its own, and
 * nothing has come of it for a while at the latest.
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
    else this.#awaitOtherEnd('the target did not end its side after the client had');
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
    else this.#awaitOtherEnd('the client did not end its side after the target had');
  }

  protected override onActivity(): void {
    this.#halfCloseTimer?.refresh();
  }

  protected override close(error?: TunnelError): void {
    clearTimeout(this.#halfCloseTimer);
    super.close(error);
  }

  #awaitOtherEnd(text: string): void {
    clearTimeout(this.#halfCloseTimer);
    const { halfCloseTimeoutMs } = this.#host;
    this.#halfCloseTimer = setTimeout(() => {
      const detail = `${text}: nothing happened for ${halfCloseTimeoutMs} ms`;
      this.reset(new TunnelError('cancelled', detail));
    }, halfCloseTimeoutMs);
  }
}
