import {
  formatTarget,
  relay,
  type TunnelError,
  type TunnelStream,
  toTunnelError,
} from '@fairlead/protocol';
import type { Logger } from '@fairlead/runtime';
import { dialTarget } from './dial-target.ts';
import type { AgentMetrics } from './metrics.ts';

export interface AcceptorOptions {
  readonly dialTimeoutMs: number;
  readonly logger: Logger;
  readonly metrics: AgentMetrics;
}

/** Serves the streams that servers open: dials the target and joins the two. */
export class Acceptor {
  readonly #options: AcceptorOptions;

  constructor(options: AcceptorOptions) {
    this.#options = options;
  }

  /** Takes an offered stream; all that goes wrong ends in a refusal or a reset of that stream. */
  accept(stream: TunnelStream): void {
    const { metrics } = this.#options;
    const abort = new AbortController();
    const startedAtMs = performance.now();
    stream.handler = { onClose: (error) => abort.abort(error) };
    dialTarget(stream.target, {
      timeoutMs: this.#options.dialTimeoutMs,
      signal: abort.signal,
    }).then(
      (socket) => {
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
      },
      (thrown: unknown) => {
        const error = toTunnelError(thrown, 'dial_failed');
        metrics.onDialEnd(performance.now() - startedAtMs, error);
        stream.refuse(error);
        this.#log(stream, startedAtMs, {}, error);
      },
    );
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
