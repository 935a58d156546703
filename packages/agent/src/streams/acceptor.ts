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
import type { AgentFiles } from '../agent-files.ts';
import type { AgentOptions } from '../options.ts';
import { DialQueue } from './dial-queue.ts';
import { dialTarget, type Lookup } from './dial-target.ts';
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
  readonly #options: AcceptorOptions;
  readonly #dials = new DialQueue();

  constructor(options: AcceptorOptions) {
    this.#options = options;
  }

  /** Accepts an offered stream. Any failure refuses or resets that stream and is logged; nothing is thrown. */
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
      check = this.#options.files.policy.checkTarget(stream.target);
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
      const { options, lookup } = this.#options;
      const dial = { timeoutMs: options.dialTimeout, signal, lookup, check };
      dialTarget(stream.target, dial).then(join, refuse);
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
