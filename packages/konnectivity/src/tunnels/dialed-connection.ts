import { cleanText, type Target, TunnelError } from '@fairlead/protocol';
import { Connection, type ConnectionHost } from './connection.ts';

const clientStayed = 'the client did not end its side after the target had closed';

/** What a connection on the dialing side needs of its tunnel. */
export interface DialedConnectionHost extends ConnectionHost {
  readonly halfCloseTimeoutMs: number;
  /** Sends CLOSE_REQ. */
  sendClose(connection: DialedConnection): void;
}

/**
 * A connection on the dialing side: on the server, to an agent.
 *
 * The wire has no half-close: on CLOSE_REQ, an agent closes both directions and drops what it still has for the target.
 * So the end of this side's direction waits until the target has ended its direction, or has sent nothing for a while.
 */
export class DialedConnection extends Connection {
  readonly #host: DialedConnectionHost;
  #halfCloseTimer: NodeJS.Timeout | undefined;

  constructor(target: Target, connectId: bigint, host: DialedConnectionHost) {
    super(target, 'open', host);
    this.#host = host;
    this.connectId = connectId;
  }

  /** Does nothing: only agents accept. */
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

  /** CLOSE_RSP: the agent has closed both directions of the target's connection. */
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

  /** The client ended its side long ago. Most such clients have closed both sides. */
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
