import {
  Deadlines,
  type Target,
  TunnelError,
  type TunnelStream,
  toTunnelError,
} from '@fairlead/protocol';
import type { ServerMetrics } from '../admin/metrics.ts';
import type { Backend, BackendDialHandler } from '../agents/backend.ts';
import { Pace, PacedStream, type TunnelPace } from '../agents/paced-stream.ts';
import type { Caller } from '../front-end/caller.ts';
import type { DialHandler, PendingDial } from '../front-end/front-end-options.ts';
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

/** Dials for the front end. */
export class Dialer {
  readonly options: DialerOptions;
  readonly deadlines: Deadlines<BackendDial>;
  readonly #paces = new WeakMap<Backend, TunnelPace>();

  constructor(options: DialerOptions) {
    this.options = options;
    const text = `no answer from the agent within ${options.timeoutMs} ms`;
    this.deadlines = new Deadlines(options.timeoutMs, (dial) =>
      dial.cancel(new TunnelError('backend_dial_timeout', text)),
    );
  }

  /** See `Dial`. */
  dial(target: Target, caller: Caller, handler: DialHandler): PendingDial {
    const dial = new BackendDial(this, target, caller, handler);
    dial.start();
    return dial;
  }

  /** The bandwidth limit of a backend; undefined: none. */
  paceOf(backend: Backend): TunnelPace | undefined {
    const { tunnelBytesPerSecond } = this.options;
    if (tunnelBytesPerSecond === undefined) return undefined;
    let pace = this.#paces.get(backend);
    if (!pace) {
      pace = { toAgent: new Pace(tunnelBytesPerSecond), fromAgent: new Pace(tunnelBytesPerSecond) };
      this.#paces.set(backend, pace);
    }
    return pace;
  }
}

/**
 * One dial. The steps, from top to bottom: check the policy, start the deadline, pick a backend and at most one other
 * one, check the limits of its tunnel, open the stream, record the result.
 */
class BackendDial implements PendingDial, BackendDialHandler {
  readonly #dialer: Dialer;
  readonly #target: Target;
  readonly #caller: Caller;
  readonly #handler: DialHandler;
  readonly #startedAtMs = performance.now();
  #first: Backend | undefined;
  #backend: Backend | undefined;
  #attempt: { reset(error: TunnelError): void } | undefined;
  /** Why the dial was canceled. */
  #reason: TunnelError | undefined;
  #hasEnded = false;

  constructor(dialer: Dialer, target: Target, caller: Caller, handler: DialHandler) {
    this.#dialer = dialer;
    this.#target = target;
    this.#caller = caller;
    this.#handler = handler;
  }

  start(): void {
    const { policy, router, observer } = this.#dialer.options;
    try {
      policy()?.check(this.#caller, this.#target);
    } catch (error) {
      observer.onPolicyDenied();
      this.#fail(toTunnelError(error));
      return;
    }
    this.#first = router.pick(this.#target);
    if (!this.#first) {
      this.#fail(new TunnelError('no_agent'));
      return;
    }
    this.#dialer.deadlines.add(this);
    this.#tryOn(this.#first);
  }

  cancel(error: TunnelError): void {
    if (this.#hasEnded) return;
    this.#reason = error;
    this.#attempt?.reset(error);
    this.#fail(error);
  }

  onOpened(stream: TunnelStream): void {
    this.#end();
    const backend = this.#backend!;
    backend.onDialEnd();
    this.#record('ok', backend.agentId);
    const pace = this.#dialer.paceOf(backend);
    this.#handler.onDialed(pace ? new PacedStream(stream, pace) : stream, backend.agentId);
  }

  /** Tries a second backend if the code permits it (protocol/src/wire/errors.ts); never after the target has answered. */
  onFailed(error: TunnelError): void {
    if (this.#hasEnded) return;
    this.#backend?.onDialEnd(error);
    const { router, observer } = this.#dialer.options;
    const isFirst = this.#backend === this.#first;
    const isRetried = isFirst && error.retryElsewhere && !this.#reason;
    const second = isRetried ? router.pick(this.#target, this.#first) : undefined;
    if (!second) {
      this.#fail(this.#reason ?? error);
      return;
    }
    observer.onRetry(error);
    this.#tryOn(second);
  }

  #tryOn(backend: Backend): void {
    const { maxStreamsPerTunnel, observer } = this.#dialer.options;
    this.#backend = backend;
    this.#attempt = undefined;
    try {
      if (backend.load >= maxStreamsPerTunnel) {
        observer.onLimit('streams_per_tunnel');
        const text = `the tunnel has ${maxStreamsPerTunnel} streams already`;
        throw new TunnelError('limit_reached', text);
      }
      this.#attempt = backend.dial(this.#target, this);
    } catch (error) {
      this.onFailed(toTunnelError(error));
    }
  }

  #fail(error: TunnelError): void {
    if (this.#hasEnded) return;
    this.#end();
    const agentId = this.#backend?.agentId;
    this.#record(error.code, agentId, error.message);
    this.#handler.onFailed(error, agentId);
  }

  #end(): void {
    this.#hasEnded = true;
    this.#dialer.deadlines.delete(this);
  }

  #record(outcome: string, agentId?: string, detail?: string): void {
    this.#dialer.options.history.add(this.#target, {
      atMs: Date.now(),
      caller: this.#caller,
      agentId,
      durationMs: Math.round(performance.now() - this.#startedAtMs),
      outcome,
      detail,
    });
  }
}
