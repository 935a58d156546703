import type { Duplex } from 'node:stream';
import {
  formatTarget,
  type MemoryBudget,
  relay,
  type Target,
  TunnelError,
  type TunnelStream,
  toTunnelError,
} from '@fairlead/protocol';
import type { Logger } from '@fairlead/runtime/process';
import { callerName } from './caller.ts';
import type { Caller, Dial, DialedStream } from './dial.ts';
import type { FrontEndObserver, FrontEndProtocol, StreamSummary } from './front-end-options.ts';
import type { StreamLease, StreamLimits } from './stream-limits.ts';

/** A client's wish for a stream, and how to answer it in the client's protocol. */
export interface StreamRequest {
  readonly protocol: FrontEndProtocol;
  readonly caller: Caller;
  readonly target: Target;
  /** Carries the stream's bytes once accepted; nothing was read from it that is not in it again. */
  readonly duplex: Duplex;
  /** When the request was complete, by `performance.now()`. */
  readonly startedAtMs: number;
  /** Says that the target is connected, by that stream. */
  accept(stream: TunnelStream): void;
  /** Says why not, and ends the client's side. */
  refuse(error: TunnelError): void;
  /** Bytes of the client that were received and not handed on; left out: what the Duplex tells. */
  undeliveredBytes?(): number;
  /**
   * For protocols without half-close: the client has closed both directions, in order, although the relay
   * saw a reset.
   */
  wasClosedByClient?(): boolean;
}

/** What all exchanges of a front end share. */
export interface ExchangeHost {
  readonly dial: Dial;
  readonly logger: Logger;
  /** Told of every stream, however it ends. */
  readonly accessLog?: Logger;
  readonly observer: FrontEndObserver;
  readonly limits: StreamLimits;
  /** Counts what clients' bytes take that the exchanges have no use for yet. */
  readonly memory?: MemoryBudget;
}

/** One stream from its request to its end: dial, answer, relay, account. */
export class Exchange {
  readonly #host: ExchangeHost;
  readonly #request: StreamRequest;
  readonly #lease: StreamLease;
  readonly #abort = new AbortController();
  readonly #onEnd: (exchange: Exchange) => void;
  #dialed: DialedStream | undefined;
  #heldBytes = 0;
  #isReset = false;

  /**
   * @param lease given back at the end
   * @param onEnd called once, when nothing is left to do but to tell of it
   */
  constructor(
    host: ExchangeHost,
    request: StreamRequest,
    lease: StreamLease,
    onEnd: (exchange: Exchange) => void,
  ) {
    this.#host = host;
    this.#request = request;
    this.#lease = lease;
    this.#onEnd = onEnd;
  }

  /** Dials and relays; returns at once. */
  start(): void {
    const { duplex, protocol } = this.#request;
    duplex.on('error', ignore);
    duplex.once('close', this.#onClientGone);
    this.#host.observer.onDialStart(protocol);
    void this.#dial();
  }

  /** As counted last. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** Counts anew. @returns by how much it has changed */
  count(): number {
    const { duplex } = this.#request;
    const before = this.#heldBytes;
    if (this.#isReset) return 0;
    this.#heldBytes = this.#request.undeliveredBytes?.() ?? duplex.readableLength;
    return this.#heldBytes - before;
  }

  resetForMemory(): void {
    const text = `the client sent ${this.#heldBytes} bytes that nobody takes`;
    // At once, though its end takes a moment: the cap is to be kept by one such stream, not by all of them.
    this.#isReset = true;
    this.#host.memory?.release(this.#heldBytes);
    this.#heldBytes = 0;
    this.destroy(new TunnelError('memory_limit', text));
  }

  /** Ends the exchange in whatever state it is: a client that waits is refused. */
  destroy(error: TunnelError): void {
    if (this.#dialed) this.#dialed.stream.reset(error);
    else this.#abort.abort(error);
  }

  async #dial(): Promise<void> {
    const { target, caller, protocol, duplex, startedAtMs } = this.#request;
    const { signal } = this.#abort;
    try {
      const dialed = await this.#host.dial(target, caller, signal);
      duplex.off('close', this.#onClientGone);
      if (signal.aborted) {
        dialed.stream.reset(signal.reason);
        throw signal.reason;
      }
      this.#host.observer.onDialEnd(protocol, performance.now() - startedAtMs);
      this.#relay(dialed);
    } catch (thrown) {
      duplex.off('close', this.#onClientGone);
      this.#onDialFailed(signal.aborted ? signal.reason : toTunnelError(thrown));
    }
  }

  #relay(dialed: DialedStream): void {
    this.#dialed = dialed;
    this.#lease.onDialEnd();
    const { duplex, protocol, startedAtMs } = this.#request;
    this.#request.accept(dialed.stream);
    relay(duplex, dialed.stream, {
      resetCode: 'client_reset',
      onFinish: ({ bytesFromSocket, bytesToSocket, error }) => {
        const isOrderly = error?.code === 'client_reset' && this.#request.wasClosedByClient?.();
        const summary: StreamSummary = {
          durationMs: performance.now() - startedAtMs,
          bytesFromClient: bytesFromSocket,
          bytesToClient: bytesToSocket,
          ...(error && !isOrderly && { error }),
        };
        this.#lease.end();
        this.#onEnd(this);
        this.#host.observer.onStreamEnd(protocol, summary);
        this.#log(summary);
      },
    });
  }

  #onDialFailed(error: TunnelError): void {
    const { protocol, startedAtMs } = this.#request;
    const durationMs = performance.now() - startedAtMs;
    this.#request.refuse(error);
    this.#lease.end();
    this.#onEnd(this);
    this.#host.observer.onDialEnd(protocol, durationMs, error);
    this.#log({ durationMs, bytesFromClient: 0, bytesToClient: 0, error });
  }

  /** One line per stream; in the program's log a normal end is not worth more than debug. */
  #log({ durationMs, bytesFromClient, bytesToClient, error }: StreamSummary): void {
    const { caller, target, protocol } = this.#request;
    const fields = {
      protocol,
      caller: callerName(caller),
      address: caller.address,
      target: formatTarget(target),
      agent: this.#dialed?.agentId,
      bytesFromClient,
      bytesToClient,
      durationMs: Math.round(durationMs),
      end: error?.code ?? 'closed',
      detail: error?.message,
    };
    const { logger, accessLog } = this.#host;
    accessLog?.info(fields, 'stream');
    if (error) logger.info(fields, 'stream');
    else logger.debug(fields, 'stream');
  }

  /** Only a closed connection ends a dial: a client that ended its own side still reads. */
  #onClientGone = (): void => {
    this.#lease.onAbandoned();
    this.#abort.abort(new TunnelError('cancelled', 'the client went away during the dial'));
  };
}

// An error is followed by 'close', which is what counts.
function ignore(): void {}
