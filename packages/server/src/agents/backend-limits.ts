import { type Target, TunnelError, type TunnelStream } from '@fairlead/protocol';
import type { Backend } from './backend.ts';
import { Pace } from './pace.ts';
import { PacedStream, type TunnelPace } from './paced-stream.ts';

export interface BackendLimitOptions {
  /** Dialling or open, of one backend. */
  readonly maxStreams: number;
  /** Of one backend, in each direction; undefined: no limit. */
  readonly bytesPerSecond: number | undefined;
  /** Told of each dial that is refused for want of room. */
  onFull(): void;
}

/** What one backend may carry, whatever protocol its agent speaks. */
export class BackendLimits {
  readonly #options: BackendLimitOptions;
  readonly #paces = new WeakMap<Backend, TunnelPace>();

  constructor(options: BackendLimitOptions) {
    this.#options = options;
  }

  /**
   * Dials on a backend that has room.
   * @throws TunnelError `limit_reached`, and as Backend.dial
   */
  async dial(backend: Backend, target: Target, signal: AbortSignal): Promise<TunnelStream> {
    const { maxStreams, bytesPerSecond, onFull } = this.#options;
    if (backend.load >= maxStreams) {
      onFull();
      throw new TunnelError('limit_reached', `the tunnel has ${maxStreams} streams already`);
    }
    const stream = await backend.dial(target, signal);
    if (bytesPerSecond === undefined) return stream;
    return new PacedStream(stream, this.#paceOf(backend, bytesPerSecond));
  }

  #paceOf(backend: Backend, bytesPerSecond: number): TunnelPace {
    let pace = this.#paces.get(backend);
    if (!pace) {
      pace = { toAgent: new Pace(bytesPerSecond), fromAgent: new Pace(bytesPerSecond) };
      this.#paces.set(backend, pace);
    }
    return pace;
  }
}
