import type { Socket } from 'node:net';
import {
  formatTarget,
  relay,
  type TunnelError,
  type TunnelStream,
  toTunnelError,
} from '@fairlead/protocol';
import type { Logger } from '@fairlead/runtime/process';
import type { AgentMetrics } from '../admin/metrics.ts';
import { DialQueue } from './dial-queue.ts';
import { dialTarget, type Lookup } from './dial-target.ts';
import type { AddressCheck, TargetPolicy } from './target-policy.ts';

export interface AcceptorOptions {
  readonly dialTimeoutMs: number;
  /** The policy in force. */
  policy(): TargetPolicy;
  /** How names are resolved, if not by the system. */
  readonly lookup?: Lookup | undefined;
  readonly logger: Logger;
  readonly metrics: AgentMetrics;
}

/** Serves the streams that servers open: dials the target and joins the two. */
export class Acceptor {
  readonly #options: AcceptorOptions;
  readonly #dials = new DialQueue();

  constructor(options: AcceptorOptions) {
    this.#options = options;
  }

  /** Takes an offered stream; all that goes wrong ends in a refusal or a reset of that stream. */
  accept(stream: TunnelStream): void {
    const { metrics } = this.#options;
    const abort = new AbortController();
    const startedAtMs = performance.now();
    const refuse = (thrown: unknown) => {
      const error = toTunnelError(thrown, 'dial_failed');
      metrics.onDialEnd(performance.now() - startedAtMs, error);
      stream.refuse(error);
      this.#log(stream, startedAtMs, {}, error);
    };
    stream.attach({ onClose: (error) => abort.abort(error) });
    let check: AddressCheck;
    try {
      check = this.#options.policy().checkTarget(stream.target);
    } catch (thrown) {
      refuse(thrown);
      return;
    }
    const join = (socket: Socket) => {
      metrics.onDialEnd(performance.now() - startedAtMs);
      stream.accept();
      relay(socket, stream, {
        resetCode: 'target_reset',
        onFinish: ({ bytesFromSocket, bytesToSocket, error }) => {
          metrics.onStreamEnd(bytesFromSocket, bytesToSocket, error);
          this.#log(
            stream,
            startedAtMs,
            { bytesFromTarget: bytesFromSocket, bytesToTarget: bytesToSocket },
            error,
          );
        },
      });
    };
    this.#dials.add(() => {
      const { signal } = abort;
      if (signal.aborted) {
        refuse(signal.reason);
        return;
      }
      const { dialTimeoutMs, lookup } = this.#options;
      const options = { timeoutMs: dialTimeoutMs, signal, lookup, check };
      dialTarget(stream.target, options).then(join, refuse);
    });
  }

  #log(stream: TunnelStream, startedAtMs: number, bytes: object, error?: TunnelError): void {
    const fields = {
      target: formatTarget(stream.target),
      ...bytes,
      durationMs: Math.round(performance.now() - startedAtMs),
      end: error?.code ?? 'closed',
      detail: error?.message,
    };
    if (error) this.#options.logger.info(fields, 'stream');
    else this.#options.logger.debug(fields, 'stream');
  }
}
