import {
  formatTarget,
  largestOf,
  type RelayedStream,
  type RelayOptions,
  type RelayResult,
  type Target,
  TunnelError,
  toTunnelError,
} from '@fairlead/protocol';
import { type Caller, callerName } from './caller.ts';
import { parseConnectTarget } from './connect-target.ts';
import type {
  DialHandler,
  FrontEndOptions,
  FrontEndProtocol,
  PendingDial,
  StreamSummary,
} from './front-end-options.ts';
import { type StreamLease, StreamLimits } from './stream-limits.ts';

/** How often the bytes that clients make the server hold are counted. */
const countEveryMs = 250;

/** A client's request for a stream, and how to answer it in the client's protocol. */
export interface ConnectRequest {
  readonly protocol: FrontEndProtocol;
  readonly caller: Caller;
  /** The target as the client wrote it. */
  readonly authority: string;
  /** When the request was complete, by `performance.now()`. */
  readonly startedAtMs: number;
  /** Calls back when the client's connection has closed, unless the request was accepted or refused before. */
  watch(onGone: (error?: TunnelError) => void): void;
  /** Answers that the target is connected, and joins the client's bytes with those of the stream. */
  accept(stream: RelayedStream, options: RelayOptions): void;
  /** Answers with the error and ends the client's side; without a target if the authority is invalid. */
  refuse(error: TunnelError, target?: Target): void;
  /** Bytes of the client that were received, not passed on, and not yet counted against the memory's limit. */
  undeliveredBytes?(): number;
  /** For protocols without half-close: the client closed in order, although the relay saw a reset. */
  wasClosedByClient?(): boolean;
}

/** All streams of a front end that are dialing or open, whatever protocol their clients speak. */
export class ProxiedStreams {
  readonly #options: FrontEndOptions;
  readonly #limits: StreamLimits;
  readonly #open = new Set<ProxiedStream>();
  readonly #idleWaiters: (() => void)[] = [];
  #draining = false;
  #countTimer: NodeJS.Timeout | undefined;

  constructor(options: FrontEndOptions) {
    this.#options = options;
    this.#limits = new StreamLimits(options.limits ?? {}, (name) => options.observer.onLimit(name));
    options.memory?.addFinder(() => largestOf(this.#open));
  }

  get activeCount(): number {
    return this.#open.size;
  }

  /** Starts a stream, or refuses it: `bad_target`, `shutting_down`, or `limit_reached` (StreamLimits). */
  start(request: ConnectRequest): void {
    let target: Target | undefined;
    let lease: StreamLease;
    try {
      target = parseConnectTarget(request.authority);
      if (this.#draining) throw new TunnelError('shutting_down', 'the server is shutting down');
      lease = this.#limits.admit(callerName(request.caller));
    } catch (thrown) {
      const error = toTunnelError(thrown);
      if (target) this.#options.observer.onRefused(error.code);
      else this.reportRefusal(error, request.caller);
      request.refuse(error, target);
      return;
    }
    const stream = new ProxiedStream(this.#options, request, target, lease, this.#onEnd);
    this.#open.add(stream);
    if (this.#options.memory) {
      this.#countTimer ??= setInterval(this.#count, countEveryMs).unref();
    }
    stream.start();
  }

  /** Counts and logs a connection or a request that is refused before it names a valid target. */
  reportRefusal(error: TunnelError, caller: Caller): void {
    const { observer, logger } = this.#options;
    observer.onRefused(error.code);
    const fields = { caller: callerName(caller), address: caller.address, code: error.code };
    logger.warn({ ...fields, detail: error.message }, 'request refused');
  }

  /** Refuses new streams; resolves when the open ones have ended. */
  async drain(): Promise<void> {
    this.#draining = true;
    if (this.#open.size === 0) return;
    await new Promise<void>((resolve) => {
      this.#idleWaiters.push(resolve);
    });
  }

  /** Resets every open stream. */
  destroyAll(error: TunnelError): void {
    this.#draining = true;
    for (const stream of [...this.#open]) stream.destroy(error);
  }

  /**
   * While a dial or a target takes its time, sockets and incomplete gRPC messages hold bytes. Node has no event for
   * that, so all streams are counted at intervals.
   */
  #count = (): void => {
    for (const stream of this.#open) stream.count();
  };

  #onEnd = (stream: ProxiedStream): void => {
    this.#open.delete(stream);
    if (this.#open.size > 0) return;
    clearInterval(this.#countTimer);
    this.#countTimer = undefined;
    for (const resolve of this.#idleWaiters.splice(0)) resolve();
  };
}

/** One stream from its request to its end: dial, answer, relay, log. */
class ProxiedStream implements DialHandler {
  /** The client's bytes that waited here at the last `count()`. */
  heldBytes = 0;
  readonly #options: FrontEndOptions;
  readonly #request: ConnectRequest;
  readonly #target: Target;
  readonly #lease: StreamLease;
  readonly #onEnd: (stream: ProxiedStream) => void;
  #pending: PendingDial | undefined;
  /** Set when the target is connected. */
  #stream: RelayedStream | undefined;
  #agentId: string | undefined;
  #isReset = false;
  #hasEnded = false;

  constructor(
    options: FrontEndOptions,
    request: ConnectRequest,
    target: Target,
    lease: StreamLease,
    onEnd: (stream: ProxiedStream) => void,
  ) {
    this.#options = options;
    this.#request = request;
    this.#target = target;
    this.#lease = lease;
    this.#onEnd = onEnd;
  }

  start(): void {
    const { dial, observer } = this.#options;
    const { caller, protocol } = this.#request;
    this.#request.watch(this.#onClientGone);
    observer.onDialStart(protocol);
    try {
      this.#pending = dial(this.#target, caller, this);
    } catch (error) {
      this.onFailed(toTunnelError(error));
    }
  }

  onDialed(stream: RelayedStream, agentId: string): void {
    const { protocol, startedAtMs } = this.#request;
    this.#stream = stream;
    this.#agentId = agentId;
    this.#lease.onDialEnd();
    this.#options.observer.onDialEnd(protocol, performance.now() - startedAtMs);
    this.#request.accept(stream, { resetCode: 'client_reset', onFinish: this.#onFinish });
  }

  onFailed(error: TunnelError, agentId?: string): void {
    this.#agentId = agentId;
    const durationMs = performance.now() - this.#request.startedAtMs;
    this.#request.refuse(error, this.#target);
    this.#end({ durationMs, bytesFromClient: 0, bytesToClient: 0, error });
  }

  #onFinish = ({ bytesFromSocket, bytesToSocket, error }: RelayResult): void => {
    const isOrderly = error?.code === 'client_reset' && this.#request.wasClosedByClient?.();
    this.#end({
      durationMs: performance.now() - this.#request.startedAtMs,
      bytesFromClient: bytesFromSocket,
      bytesToClient: bytesToSocket,
      ...(error && !isOrderly && { error }),
    });
  };

  /** Only a closed connection cancels a dial: a client that ended its own side still reads. */
  #onClientGone = (error?: TunnelError): void => {
    if (this.#stream || this.#hasEnded) return;
    this.#lease.onAbandoned();
    const reason = 'the client closed the connection during the dial';
    this.#pending?.cancel(error ?? new TunnelError('cancelled', reason));
  };

  /** The dial has failed, or the relay has ended. */
  #end(summary: StreamSummary): void {
    const { observer, memory } = this.#options;
    const { protocol } = this.#request;
    this.#hasEnded = true;
    this.#lease.end();
    memory?.release(this.heldBytes);
    this.#onEnd(this);
    if (this.#stream) observer.onStreamEnd(protocol, summary);
    else observer.onDialEnd(protocol, summary.durationMs, summary.error);
    this.#log(summary);
  }

  /** Logs one line per stream; in the program's log an orderly end is worth no more than debug. */
  #log({ durationMs, bytesFromClient, bytesToClient, error }: StreamSummary): void {
    const { logger, accessLog } = this.#options;
    if (!error && !accessLog && !logger.isLevelEnabled('debug')) return;
    const { caller, protocol } = this.#request;
    const fields = {
      protocol,
      caller: callerName(caller),
      address: caller.address,
      target: formatTarget(this.#target),
      agent: this.#agentId,
      bytesFromClient,
      bytesToClient,
      durationMs: Math.round(durationMs),
      end: error?.code ?? 'closed',
      detail: error?.message,
    };
    accessLog?.info(fields, 'stream');
    if (error) logger.info(fields, 'stream');
    else logger.debug(fields, 'stream');
  }

  /** Ends the stream in any state; a client that waits for its dial is refused. */
  destroy(error: TunnelError): void {
    if (this.#stream) this.#stream.reset(error);
    else this.#pending?.cancel(error);
  }

  count(): void {
    if (this.#isReset) return;
    const heldBytes = this.#request.undeliveredBytes?.() ?? 0;
    const change = heldBytes - this.heldBytes;
    this.heldBytes = heldBytes;
    // May reset this stream.
    if (change > 0) this.#options.memory?.hold(change);
    else if (change < 0) this.#options.memory?.release(-change);
  }

  resetForMemory(): void {
    const reason = `the client sent ${this.heldBytes} bytes that were not read`;
    // Released at once, before the stream has ended: otherwise further streams would be reset to keep the cap.
    this.#isReset = true;
    this.#options.memory?.release(this.heldBytes);
    this.heldBytes = 0;
    this.destroy(new TunnelError('memory_limit', reason));
  }
}
