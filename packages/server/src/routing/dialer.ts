import { type Target, TunnelError, toTunnelError } from '@fairlead/protocol';
import type { Backend } from '../agents/backend.ts';
import type { BackendLimits } from '../agents/backend-limits.ts';
import type { Caller } from '../front-end/caller.ts';
import type { Dial, DialedStream } from '../front-end/front-end-options.ts';
import type { Router } from './router.ts';

export interface DialerOptions {
  readonly router: Router;
  readonly limits: BackendLimits;
  /** For the whole dial, a second try included. */
  readonly timeoutMs: number;
  /** Told of failed attempts that were tried again elsewhere. */
  onRetry(error: TunnelError): void;
}

/**
 * The server's dial: picks an agent and opens a stream. When the agent turns out to be gone or silent,
 * another one is tried, once, within the same deadline; never after the target itself has answered.
 */
export function createDial({ router, limits, timeoutMs, onRetry }: DialerOptions): Dial {
  const dialOn = async (
    backend: Backend,
    target: Target,
    signal: AbortSignal,
  ): Promise<DialedStream> => ({
    stream: await limits.dial(backend, target, signal),
    agentId: backend.agentId,
  });

  const dialWithRetry = async (target: Target, signal: AbortSignal): Promise<DialedStream> => {
    const first = router.pick(target);
    if (!first) throw new TunnelError('no_agent');
    try {
      return await dialOn(first, target, signal);
    } catch (thrown) {
      const error = toTunnelError(thrown);
      const second =
        error.retryElsewhere && !signal.aborted ? router.pick(target, first) : undefined;
      if (!second) throw error;
      onRetry(error);
      return dialOn(second, target, signal);
    }
  };

  return async (target: Target, _caller: Caller, clientSignal: AbortSignal) => {
    const deadline = new AbortController();
    const timer = setTimeout(() => {
      deadline.abort(
        new TunnelError('backend_dial_timeout', `no answer from the agent within ${timeoutMs} ms`),
      );
    }, timeoutMs);
    const onClientGone = () => deadline.abort(clientSignal.reason);
    clientSignal.addEventListener('abort', onClientGone);
    try {
      return await dialWithRetry(target, deadline.signal);
    } finally {
      clearTimeout(timer);
      clientSignal.removeEventListener('abort', onClientGone);
    }
  };
}
