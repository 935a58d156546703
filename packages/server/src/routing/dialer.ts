import { type RelayedStream, type Target, TunnelError, toTunnelError } from '@fairlead/protocol';
import type { ServerMetrics } from '../admin/metrics.ts';
import type { Backend } from '../agents/backend.ts';
import { Pace, PacedStream, type TunnelPace } from '../agents/paced-stream.ts';
import { type Caller, callerName } from '../front-end/caller.ts';
import type { DialedStream } from '../front-end/front-end-options.ts';
import type { FrontEndPolicy } from '../front-end/front-end-policy.ts';
import type { DialHistory } from './dial-history.ts';
import type { Router } from './router.ts';

export interface DialerOptions {
  readonly router: Router;
  readonly history: DialHistory;
  /** The policy in force; undefined if there is none. */
  policy(): FrontEndPolicy | undefined;
  /** For the whole dial, a second attempt included. */
  readonly timeoutMs: number;
  /** Dialing or open, through one backend. */
  readonly maxStreamsPerTunnel: number;
  /** Of one backend, in each direction; undefined: no limit. */
  readonly tunnelBytesPerSecond: number | undefined;
  readonly observer: Pick<ServerMetrics, 'onPolicyDenied' | 'onRetry' | 'onLimit'>;
}

/**
 * Dials for the front end. The steps, from top to bottom: check the policy, start the deadline, pick a backend
 * and at most one other one, check the limits of its tunnel, open the stream, record the result.
 */
export class Dialer {
  readonly #options: DialerOptions;
  readonly #paces = new WeakMap<Backend, TunnelPace>();

  constructor(options: DialerOptions) {
    this.#options = options;
  }

  /** See `Dial`. @throws TunnelError */
  async dial(target: Target, caller: Caller, signal: AbortSignal): Promise<DialedStream> {
    const startedAtMs = performance.now();
    const record = (outcome: string, agentId?: string, detail?: string) =>
      this.#options.history.add(target, {
        at: new Date().toISOString(),
        caller: callerName(caller),
        agentId,
        durationMs: Math.round(performance.now() - startedAtMs),
        outcome,
        detail,
      });
    try {
      this.#checkPolicy(target, caller);
      const dialed = await this.#dialInTime(target, signal);
      record('ok', dialed.agentId);
      return dialed;
    } catch (thrown) {
      const error = toTunnelError(thrown);
      record(error.code, undefined, error.message);
      throw error;
    }
  }

  #checkPolicy(target: Target, caller: Caller): void {
    const { policy, observer } = this.#options;
    try {
      policy()?.check(caller, target);
    } catch (error) {
      observer.onPolicyDenied();
      throw error;
    }
  }

  async #dialInTime(target: Target, clientSignal: AbortSignal): Promise<DialedStream> {
    const { timeoutMs } = this.#options;
    const abort = new AbortController();
    const timer = setTimeout(() => {
      const text = `no answer from the agent within ${timeoutMs} ms`;
      abort.abort(new TunnelError('backend_dial_timeout', text));
    }, timeoutMs);
    const onClientGone = () => abort.abort(clientSignal.reason);
    clientSignal.addEventListener('abort', onClientGone);
    try {
      return await this.#dialWithRetry(target, abort.signal);
    } finally {
      clearTimeout(timer);
      clientSignal.removeEventListener('abort', onClientGone);
    }
  }

  /** Tries a second backend if the first one is gone, silent or full; not after the target has answered. */
  async #dialWithRetry(target: Target, signal: AbortSignal): Promise<DialedStream> {
    const { router, observer } = this.#options;
    const first = router.pick(target);
    if (!first) throw new TunnelError('no_agent');
    try {
      return { stream: await this.#dialOn(first, target, signal), agentId: first.agentId };
    } catch (thrown) {
      const error = toTunnelError(thrown);
      const isRetried = error.retryElsewhere && !signal.aborted;
      const second = isRetried ? router.pick(target, first) : undefined;
      if (!second) throw error;
      observer.onRetry(error);
      return { stream: await this.#dialOn(second, target, signal), agentId: second.agentId };
    }
  }

  async #dialOn(backend: Backend, target: Target, signal: AbortSignal): Promise<RelayedStream> {
    const { maxStreamsPerTunnel, tunnelBytesPerSecond, observer } = this.#options;
    if (backend.load >= maxStreamsPerTunnel) {
      observer.onLimit('streams_per_tunnel');
      const text = `the tunnel has ${maxStreamsPerTunnel} streams already`;
      throw new TunnelError('limit_reached', text);
    }
    const stream = await backend.dial(target, signal);
    if (tunnelBytesPerSecond === undefined) return stream;
    const pace = this.#paces.get(backend) ?? {
      toAgent: new Pace(tunnelBytesPerSecond),
      fromAgent: new Pace(tunnelBytesPerSecond),
    };
    this.#paces.set(backend, pace);
    return new PacedStream(stream, pace);
  }
}
