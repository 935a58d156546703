import type { Socket } from 'node:net';
import {
  Deadlines,
  formatTarget,
  type RelayResult,
  relay,
  TunnelError,
  type TunnelStream,
  toTunnelError,
} from '@fairlead/protocol';
import type { Logger } from '@fairlead/runtime/process';
import type { AgentMetrics } from '../admin/metrics.ts';
import type { AgentFiles } from '../agent-files.ts';
import type { AgentOptions } from '../options.ts';
import { DialQueue } from './dial-queue.ts';
import {
  type Lookup,
  systemLookup,
  TargetDial,
  type TargetDialHandler,
  type TargetDialOptions,
} from './dial-target.ts';
import { LookupQueue, targetLookups } from './lookup-queue.ts';
import type { AddressCheck } from './target-policy.ts';

interface AcceptorOptions {
  readonly options: AgentOptions;
  readonly logger: Logger;
  readonly metrics: AgentMetrics;
  readonly files: AgentFiles;
  /** How names are resolved; default: by the system. */
  readonly lookup: Lookup | undefined;
}

/** Serves the streams that servers open: dials the target and connects stream and socket. */
export class Acceptor {
  readonly options: AcceptorOptions;
  readonly dials = new DialQueue();
  readonly deadlines: Deadlines<TargetDial>;
  readonly lookups: LookupQueue;

  constructor(options: AcceptorOptions) {
    this.options = options;
    this.deadlines = new Deadlines(options.options.dialTimeout, (dial) => dial.onTimeout());
    const { lookup = systemLookup } = options;
    this.lookups = new LookupQueue(lookup, targetLookups(process.env.UV_THREADPOOL_SIZE));
  }

  /** Accepts an offered stream. Any failure refuses or resets that stream and is logged; nothing is thrown. */
  accept(stream: TunnelStream): void {
    new AcceptedStream(this, stream).start();
  }
}

/** One stream from its offer to its end. */
class AcceptedStream implements TargetDialHandler {
  readonly #acceptor: Acceptor;
  readonly #stream: TunnelStream;
  readonly #startedAtMs = performance.now();
  #check: AddressCheck | undefined;
  #dial: TargetDial | undefined;
  #hasEnded = false;

  constructor(acceptor: Acceptor, stream: TunnelStream) {
    this.#acceptor = acceptor;
    this.#stream = stream;
  }

  start(): void {
    const stream = this.#stream;
    stream.attach(this);
    try {
      this.#check = this.#acceptor.options.files.policy.checkTarget(stream.target);
    } catch (error) {
      this.onFailed(toTunnelError(error, 'dial_failed'));
      return;
    }
    this.#acceptor.dials.add(this);
  }

  /** It is this dial's turn. */
  run(): void {
    if (this.#hasEnded) return;
    const { lookups, deadlines } = this.#acceptor;
    const options: TargetDialOptions = { lookup: lookups.lookup, check: this.#check };
    this.#dial = new TargetDial(this.#stream.target, options, this, deadlines);
    this.#dial.start();
  }

  /** The server reset the stream, or the tunnel was lost, before the target was connected. */
  onClose(error?: TunnelError): void {
    const reason = error ?? new TunnelError('cancelled');
    if (this.#dial) this.#dial.cancel(reason);
    else this.onFailed(reason);
  }

  onConnected(socket: Socket): void {
    this.#hasEnded = true;
    this.#acceptor.options.metrics.onDialEnd(performance.now() - this.#startedAtMs);
    this.#stream.accept();
    relay(socket, this.#stream, { resetCode: 'target_reset', onFinish: this.#onFinish });
  }

  onFailed(error: TunnelError): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#acceptor.options.metrics.onDialEnd(performance.now() - this.#startedAtMs, error);
    this.#stream.refuse(error);
    this.#log(undefined, error);
  }

  readonly #onFinish = (result: RelayResult): void => {
    const { bytesFromSocket, bytesToSocket, error } = result;
    this.#acceptor.options.metrics.onStreamEnd(bytesFromSocket, bytesToSocket, error);
    this.#log(result, error);
  };

  #log(result: RelayResult | undefined, error: TunnelError | undefined): void {
    const { logger } = this.#acceptor.options;
    if (!error && !logger.isLevelEnabled('debug')) return;
    const fields = {
      target: formatTarget(this.#stream.target),
      ...(result && {
        bytesFromTarget: result.bytesFromSocket,
        bytesToTarget: result.bytesToSocket,
      }),
      durationMs: Math.round(performance.now() - this.#startedAtMs),
      end: error?.code ?? 'closed',
      detail: error?.message,
    };
    if (error) logger.info(fields, 'stream');
    else logger.debug(fields, 'stream');
  }
}
